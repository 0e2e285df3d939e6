//! NTLMv2 (MS-NLMP) at a proxy: the three messages, and nothing that protects what comes after.
//!
//! Pure: the time and the client's challenge come from outside. Neither NTLMv1 nor a session key is
//! ever sent; nothing is signed or sealed, for a tunnel has TLS in it.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md4::Md4;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

/// What begins each message (MS-NLMP 2.2.1).
const SIGNATURE: [u8; 8] = *b"NTLMSSP\0";

/// MS-NLMP 2.2.2.5: names are UTF-16.
const UNICODE: u32 = 0x1;
/// Names are in the host's own code page.
const OEM: u32 = 0x2;
/// The proxy says where it belongs to.
const REQUEST_TARGET: u32 = 0x4;
/// NTLM at all.
const NTLM: u32 = 0x200;
/// Servers of Windows refuse who does not offer this, though nothing is signed here.
const ALWAYS_SIGN: u32 = 0x8000;
/// What NTLMv2 goes with.
const EXTENDED_SESSION_SECURITY: u32 = 0x8_0000;
/// A list of the server's attributes is in its challenge.
const TARGET_INFO: u32 = 0x80_0000;
/// 128 and 56 bits: what domains may demand as the least, of who seals and who does not.
const STRENGTHS: u32 = 0xa000_0000;

const OFFERED: u32 =
    UNICODE | OEM | REQUEST_TARGET | NTLM | ALWAYS_SIGN | EXTENDED_SESSION_SECURITY | STRENGTHS;

/// MS-NLMP 2.2.2.1: the attributes that mean something here.
const AV_END: u16 = 0;
const AV_FLAGS: u16 = 6;
const AV_TIMESTAMP: u16 = 7;
const AV_TARGET_NAME: u16 = 9;
const AV_CHANNEL_BINDINGS: u16 = 10;
/// Of [`AV_FLAGS`]: the answer has a MIC.
const WITH_MIC: u32 = 0x2;

/// A challenge longer than this is none: an answer has it all in it, and its lengths are of 16 bits.
const LONGEST: usize = 16 * 1024;
/// Where the payload begins: after the flags, or after the version and the MIC.
const HEAD: usize = 64;
const HEAD_WITH_MIC: usize = 88;
const MIC_AT: usize = 72;

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NtlmFlaw {
    /// It does not begin as one.
    #[error("the challenge is no message of NTLM")]
    NotNtlm,
    /// It is one of the client's, or none at all.
    #[error("the challenge is of type {0}, not 2")]
    Kind(u32),
    /// It ends before the server's nonce, or is longer than any.
    #[error("the challenge has {0} bytes")]
    Length(usize),
    /// An attribute, or all of them, are said to be where nothing is.
    #[error("the challenge's attributes reach beyond its end")]
    Attributes,
}

/// A CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NtlmChallenge {
    flags: u32,
    nonce: [u8; 8],
    /// Without the one that ends them; none of a server from before there were attributes.
    attributes: Option<Vec<(u16, Vec<u8>)>>,
    /// As it came: the MIC is over it.
    message: Vec<u8>,
}

/// Who asks. It cannot be printed.
#[derive(Clone, Copy)]
pub struct NtlmLogin<'a> {
    /// `user`, `DOMAIN\user` or `user@domain`.
    pub user: &'a str,
    /// In clear: it is hashed here, and kept nowhere.
    pub password: &'a str,
    /// May be empty.
    pub workstation: &'a str,
}

impl fmt::Debug for NtlmLogin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NtlmLogin").finish_non_exhaustive()
    }
}

/// What makes this answer differ from the last.
#[derive(Clone, Copy, Debug)]
pub struct NtlmFresh {
    /// Eight random bytes.
    pub nonce: [u8; 8],
    /// Tenths of a microsecond since 1601 (MS-DTYP 2.3.3); the server's own time is taken where it says it.
    pub time: u64,
    /// Of a proxy behind TLS: [`channel_bindings`].
    pub bindings: Option<[u8; 16]>,
}

/// The NEGOTIATE_MESSAGE (MS-NLMP 2.2.1.1). It names no domain and no workstation: proxies do not look.
pub fn ntlm_negotiate() -> Vec<u8> {
    let mut message = SIGNATURE.to_vec();
    message.extend(1_u32.to_le_bytes());
    message.extend(OFFERED.to_le_bytes());
    for _ in 0..2 {
        message.extend([0; 4]);
        message.extend(32_u32.to_le_bytes());
    }
    message
}

/// Reads what the proxy answers to [`ntlm_negotiate`].
///
/// Old servers, and squid's stand-in for one, end after the nonce or a reserved field.
pub fn ntlm_challenge(bytes: &[u8]) -> Result<NtlmChallenge, NtlmFlaw> {
    if bytes.first_chunk() != Some(&SIGNATURE) {
        return Err(NtlmFlaw::NotNtlm);
    }
    let short = NtlmFlaw::Length(bytes.len());
    if bytes.len() > LONGEST {
        return Err(short);
    }
    let kind = number(bytes, 8).ok_or(short)?;
    if kind != 2 {
        return Err(NtlmFlaw::Kind(kind));
    }
    let flags = number(bytes, 20).ok_or(short)?;
    let nonce = chunk(bytes, 24).ok_or(short)?;
    let is_listed = flags & TARGET_INFO != 0 && bytes.len() >= 48;
    let attributes = if is_listed { Some(attributes(bytes)?) } else { None };
    Ok(NtlmChallenge { flags, nonce, attributes, message: bytes.to_vec() })
}

/// MD5 of what binds a login to the channel that it came over: the structure of RFC 2744 3.11 without
/// addresses, with `tls-server-end-point` (RFC 5929 4), given the hash of the server's certificate.
pub fn channel_bindings(certificate_hash: &[u8]) -> [u8; 16] {
    let data = [b"tls-server-end-point:", certificate_hash].concat();
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let hash = Md5::new().chain_update([0; 16]).chain_update(length.to_le_bytes());
    hash.chain_update(data).finalize().into()
}

impl NtlmChallenge {
    /// The AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3, 3.1.5.1.2).
    pub fn answer(&self, login: NtlmLogin<'_>, fresh: NtlmFresh) -> Vec<u8> {
        // With a name of the form user@domain the domain is left to the server.
        let (domain, user) = login.user.split_once('\\').unwrap_or(("", login.user));
        let key = ntowf_v2(login.password, user, domain);
        let timestamp = self.attribute(AV_TIMESTAMP).and_then(|value| chunk(value, 0));
        let blob = self.blob(fresh, timestamp);
        let proof = keyed(&key, &[&self.nonce, &blob]);
        // MS-NLMP 3.1.5.1.2: a server that says its time looks at the other response only.
        let lm = match timestamp {
            Some(_) => [0; 24].to_vec(),
            None => [&keyed(&key, &[&self.nonce, &fresh.nonce])[..], &fresh.nonce].concat(),
        };
        let names = [domain, user, login.workstation].map(|name| self.spelled(name));
        let [domain, user, workstation] = &names;
        let nt = [&proof[..], &blob].concat();
        let head = if timestamp.is_some() { HEAD_WITH_MIC } else { HEAD };
        let mut message = message(head, self.agreed(), [&lm, &nt, domain, user, workstation, &[]]);
        if timestamp.is_some() {
            // Without an exchange of keys the exported key is the session's (MS-NLMP 3.1.5.1.2).
            let session = Zeroizing::new(keyed(&key, &[&proof]));
            let mic = keyed(&session, &[&ntlm_negotiate(), &self.message, &message]);
            for (place, byte) in message.iter_mut().skip(MIC_AT).zip(mic) {
                *place = byte;
            }
        }
        message
    }

    fn attribute(&self, wanted: u16) -> Option<&[u8]> {
        let mut all = self.attributes.iter().flatten();
        all.find(|(id, _)| *id == wanted).map(|(_, value)| value.as_slice())
    }

    /// What of the offer the server took up; of the two ways to spell names one.
    fn agreed(&self) -> u32 {
        let both = (OFFERED | TARGET_INFO) & self.flags | NTLM;
        if both & UNICODE != 0 { both & !OEM } else { both | OEM }
    }

    /// A name on the wire. What a host's own code page is, nobody says; ASCII is the same in all.
    fn spelled(&self, name: &str) -> Vec<u8> {
        if self.agreed() & UNICODE != 0 { utf16(name) } else { name.as_bytes().to_vec() }
    }

    /// The NTLMv2_CLIENT_CHALLENGE (MS-NLMP 2.2.2.7), and the four bytes that follow it (3.3.2).
    fn blob(&self, fresh: NtlmFresh, timestamp: Option<[u8; 8]>) -> Vec<u8> {
        let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
        blob.extend(timestamp.unwrap_or_else(|| fresh.time.to_le_bytes()));
        blob.extend(fresh.nonce);
        blob.extend([0; 4]);
        for (id, value) in self.returned(fresh.bindings, timestamp.is_some()) {
            blob.extend(id.to_le_bytes());
            blob.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
            blob.extend(value);
        }
        blob.extend([0; 8]);
        blob
    }

    /// The server's attributes with the client's. Only a server that says its time, or is bound to a
    /// channel, is told of flags and bindings: older ones compare the list with what they sent.
    fn returned(&self, bindings: Option<[u8; 16]>, has_mic: bool) -> Vec<(u16, Vec<u8>)> {
        let mut list = self.attributes.clone().unwrap_or_default();
        if self.attributes.is_none() || !(has_mic || bindings.is_some()) {
            return list;
        }
        let flags = self.attribute(AV_FLAGS).and_then(|value| number(value, 0)).unwrap_or(0);
        let flags = if has_mic { flags | WITH_MIC } else { flags };
        list.retain(|(id, _)| ![AV_FLAGS, AV_CHANNEL_BINDINGS, AV_TARGET_NAME].contains(id));
        list.push((AV_FLAGS, flags.to_le_bytes().to_vec()));
        // MS-NLMP 3.1.5.1.2: zeros and an empty name say that there is nothing to be bound to.
        list.push((AV_CHANNEL_BINDINGS, bindings.unwrap_or_default().to_vec()));
        list.push((AV_TARGET_NAME, Vec::new()));
        list
    }
}

/// Head and payload of an answer: its fields in the order of MS-NLMP 2.2.1.3, the MIC all zero.
fn message(head: usize, flags: u32, fields: [&[u8]; 6]) -> Vec<u8> {
    let mut message = SIGNATURE.to_vec();
    message.extend(3_u32.to_le_bytes());
    let mut payload = Vec::new();
    for field in fields {
        // Nobody is called by a name that does not fit, and the challenge has a limit.
        let field = field.get(..usize::from(u16::MAX)).unwrap_or(field);
        let length = u16::try_from(field.len()).unwrap_or(u16::MAX).to_le_bytes();
        let offset = u32::try_from(head + payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        message.extend([&length[..], &length, &offset].concat());
        payload.extend_from_slice(field);
    }
    message.extend(flags.to_le_bytes());
    message.resize(head, 0);
    message.extend(payload);
    message
}

/// The list that the field at 40 points to (MS-NLMP 2.2.2.1). It ends at its end, or with its last attribute.
fn attributes(bytes: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, NtlmFlaw> {
    let mut rest = field(bytes, 40).ok_or(NtlmFlaw::Attributes)?;
    let mut list = Vec::new();
    while let Some((&[a, b, c, d], after)) = rest.split_first_chunk() {
        let (id, length) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        if id == AV_END {
            return Ok(list);
        }
        let (value, after) =
            after.split_at_checked(usize::from(length)).ok_or(NtlmFlaw::Attributes)?;
        list.push((id, value.to_vec()));
        rest = after;
    }
    if rest.is_empty() { Ok(list) } else { Err(NtlmFlaw::Attributes) }
}

/// What a length, a room and an offset point to (MS-NLMP 2.2.1.1). An empty one may point anywhere.
fn field(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_le_bytes(chunk(bytes, at)?));
    if length == 0 {
        return Some(&[]);
    }
    let start = usize::try_from(number(bytes, at.checked_add(4)?)?).ok()?;
    bytes.get(start..start.checked_add(length)?)
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    chunk(bytes, at).map(u32::from_le_bytes)
}

/// MS-NLMP 3.3.1.
fn ntowf_v1(password: &str) -> Zeroizing<[u8; 16]> {
    Zeroizing::new(Md4::digest(&*Zeroizing::new(utf16(password))).into())
}

/// MS-NLMP 3.3.2. Its user is in capitals, its domain is not.
fn ntowf_v2(password: &str, user: &str, domain: &str) -> Zeroizing<[u8; 16]> {
    let name = utf16(&format!("{}{domain}", capitals(user)));
    Zeroizing::new(keyed(&ntowf_v1(password), &[&name]))
}

/// Windows maps one letter to one letter: a sharp s stays what it is.
fn capitals(text: &str) -> String {
    let capital = |letter: char| {
        let mut upper = letter.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            _ => letter,
        }
    };
    text.chars().map(capital).collect()
}

fn utf16(text: &str) -> Vec<u8> {
    // Room for all at once: what grew would leave copies of a password behind.
    let mut bytes = Vec::with_capacity(text.len() * 2);
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

/// HMAC-MD5 (RFC 2104) with a key of 16 bytes, which is filled up with zeros to a block.
fn keyed(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mut block = Zeroizing::new([0_u8; 64]);
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    let mut mac = Hmac::<Md5>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER_PERMISSIVE as HEX;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        HEX.decode(text.replace(' ', "").as_bytes()).unwrap()
    }

    /// A challenge with that list, and the flags that go with it.
    fn challenge(flags: u32, attributes: &str) -> Vec<u8> {
        let list = hex(attributes);
        let mut message = [&SIGNATURE[..], &[2, 0, 0, 0], &[0; 8]].concat();
        message.extend(flags.to_le_bytes());
        message.extend(hex("0123456789abcdef 0000000000000000"));
        let length = u16::try_from(list.len()).unwrap().to_le_bytes();
        message.extend([&length[..], &length, &56_u32.to_le_bytes(), &[0; 8], &list].concat());
        message
    }

    const LOGIN: NtlmLogin<'_> =
        NtlmLogin { user: "Domain\\User", password: "Password", workstation: "COMPUTER" };
    const FRESH: NtlmFresh = NtlmFresh { nonce: [0xaa; 8], time: 0, bindings: None };
    /// MS-NLMP 4.2.4: the names of a domain and a server, and the end.
    const NAMES: &str = "02000c0044006f006d00610069006e00 01000c0053006500720076006500720000000000";

    #[test]
    fn the_keys_of_the_specification() {
        // MS-NLMP 4.2.2.1.2, 4.2.4.1.1.
        assert_eq!(ntowf_v1("Password").to_vec(), hex("a4f49c406510bdcab6824ee7c30fd852"));
        let key = ntowf_v2("Password", "User", "Domain");
        assert_eq!(key.to_vec(), hex("0c868a403bfd7a93a3001ef22ef02e3f"));
        // MS-NLMP 4.2.4.1.2: the key of a session, of the proof.
        let proof = hex("68cd0ab851e51c96aabc927bebef6a1c");
        assert_eq!(keyed(&key, &[&proof]).to_vec(), hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
    }

    #[test]
    fn the_responses_of_the_specification() {
        let read = ntlm_challenge(&challenge(OFFERED | TARGET_INFO, NAMES)).unwrap();
        let answer = read.answer(LOGIN, FRESH);
        // MS-NLMP 4.2.4.2.1, 4.2.4.2.2, 4.2.4.1.3.
        let lm = hex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa");
        assert_eq!(field(&answer, 12), Some(&lm[..]));
        let nt = field(&answer, 20).unwrap();
        assert_eq!(nt[..16], hex("68cd0ab851e51c96aabc927bebef6a1c"));
        let blob = "0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000";
        assert_eq!(nt[16..], hex(&format!("{blob}{NAMES}00000000")));
        let names = ["Domain", "User", "COMPUTER"].map(utf16);
        assert_eq!([28, 36, 44].map(|at| field(&answer, at).unwrap().to_vec()), names);
        assert_eq!(field(&answer, 52), Some(&[][..]));
        assert_eq!(number(&answer, 60), Some((OFFERED | TARGET_INFO) & !OEM));
        assert_eq!(field(&answer, 12).unwrap().as_ptr(), answer[HEAD..].as_ptr());
    }

    #[test]
    fn the_first_message_offers_no_protection_of_what_follows() {
        let wanted = "4e544c4d53535000 01000000 078208a0 0000000020000000 0000000020000000";
        assert_eq!(ntlm_negotiate(), hex(wanted));
    }

    #[test]
    fn a_server_that_says_its_time_gets_a_mic_and_no_old_response() {
        let attributes = format!("0700080000 8b3e9c4d5cd801{NAMES}");
        let read = ntlm_challenge(&challenge(OFFERED | TARGET_INFO, &attributes)).unwrap();
        let answer = read.answer(LOGIN, FRESH);
        assert_eq!(field(&answer, 12), Some(&[0; 24][..]));
        let nt = field(&answer, 20).unwrap();
        // Flags, bindings to nothing, and no target; the server's time in the place of ours.
        let sent = attributes.replace(' ', "");
        let sent = sent.strip_suffix("00000000").unwrap();
        let more = "0600040002000000 0a00100000000000000000000000000000000000 09000000";
        let begin = "0101000000000000 008b3e9c4d5cd801 aaaaaaaaaaaaaaaa 00000000";
        assert_eq!(nt[16..], hex(&format!("{begin}{sent}{more}0000000000000000")));
        // Computed with Python's hmac and OpenSSL's MD4.
        assert_eq!(nt[..16], hex("6eb16a9979d4fdfa05a19f16b64c1bd2"));
        assert_eq!(answer[MIC_AT..HEAD_WITH_MIC], hex("87c341395312afc025e9235768b852d6"));
        assert_eq!(field(&answer, 12).unwrap().as_ptr(), answer[HEAD_WITH_MIC..].as_ptr());
    }

    #[test]
    fn an_answer_can_be_bound_to_a_channel() {
        let read = ntlm_challenge(&challenge(OFFERED | TARGET_INFO, NAMES)).unwrap();
        // MS-NLMP has no example; these are the bindings of RFC 5929's structure by Python's hashlib.
        let bindings = channel_bindings(&[0x11; 32]);
        assert_eq!(bindings.to_vec(), hex("187b8ed16257050635bf9bbd99eb5e29"));
        let answer = read.answer(LOGIN, NtlmFresh { bindings: Some(bindings), ..FRESH });
        let bound = [&hex("0a001000")[..], &bindings].concat();
        assert!(field(&answer, 20).unwrap().windows(20).any(|window| window == bound));
    }

    #[test]
    fn an_old_server_without_attributes_is_answered() {
        // As squid's stand-in sends them: ASCII, and cut after the nonce, the context or an empty field.
        let whole = challenge(OEM | NTLM, "");
        for length in [32, 40, 47, 48, 56] {
            let read = ntlm_challenge(&whole[..length]).unwrap();
            assert_eq!(read.attributes, None);
            let answer = read.answer(LOGIN, FRESH);
            assert_eq!(field(&answer, 36), Some(&b"User"[..]));
            assert_eq!(field(&answer, 20).map(<[u8]>::len), Some(16 + 28 + 8));
            assert_eq!(number(&answer, 60), Some(OEM | NTLM));
        }
        // What squid's stand-in sends: a name that is nowhere, and no list.
        let squid = "4e544c4d53535000 02000000 09000900aeaaaaaa 078208a0 a46ff779cce626e5 \
                     0000000000003a00 574f524b47524f5550";
        let read = ntlm_challenge(&hex(squid)).unwrap();
        assert_eq!(field(&read.answer(LOGIN, FRESH), 36), Some(&utf16("User")[..]));
        // The flag says that there is a list, the message ends before it.
        assert!(ntlm_challenge(&challenge(TARGET_INFO, "")[..40]).is_ok());
    }

    #[test]
    fn names_of_both_forms() {
        let read = ntlm_challenge(&challenge(OFFERED, "")).unwrap();
        let sent = |user| {
            let answer = read.answer(NtlmLogin { user, ..LOGIN }, FRESH);
            [28, 36].map(|at| field(&answer, at).unwrap().to_vec())
        };
        assert_eq!(sent("user"), ["", "user"].map(utf16));
        assert_eq!(sent("D\\u\\v"), ["D", "u\\v"].map(utf16));
        assert_eq!(sent("user@corp.example"), ["", "user@corp.example"].map(utf16));
        assert_eq!(capitals("stra\u{df}e \u{e9}"), "STRA\u{df}E \u{c9}");
    }

    #[test]
    fn what_is_no_challenge_is_refused() {
        let whole = challenge(OFFERED | TARGET_INFO, NAMES);
        assert_eq!(ntlm_challenge(b""), Err(NtlmFlaw::NotNtlm));
        assert_eq!(ntlm_challenge(b"HTTP/1.1 200 OK"), Err(NtlmFlaw::NotNtlm));
        assert_eq!(ntlm_challenge(&ntlm_negotiate()), Err(NtlmFlaw::Kind(1)));
        for length in [8, 11, 12, 24, 31] {
            assert_eq!(ntlm_challenge(&whole[..length]), Err(NtlmFlaw::Length(length)));
        }
        let long = [&whole[..], &[0; LONGEST]].concat();
        assert_eq!(ntlm_challenge(&long), Err(NtlmFlaw::Length(long.len())));
        assert_eq!(ntlm_challenge(&whole[..60]), Err(NtlmFlaw::Attributes));
        for list in ["0200", "02000c00", "02000c0044", "0200000001"] {
            let broken = challenge(TARGET_INFO, list);
            assert_eq!(ntlm_challenge(&broken), Err(NtlmFlaw::Attributes), "{list}");
        }
    }

    #[test]
    fn a_login_cannot_be_printed() {
        assert_eq!(format!("{LOGIN:?}"), "NtlmLogin { .. }");
    }
}
