//! Kerberos tickets for a proxy's `Negotiate` (RFC 4559), by the host's own GSSAPI: what it says to a
//! browser of this host, it says to us.
//!
//! Every call blocks: the caller gives it a thread and a deadline. MIT's library has no deadline of its own
//! to set, and waits for a KDC that is silent for half a minute (`sendto_kdc.c`: three rounds, for UDP and
//! for TCP). Nothing here decodes a token or knows of HTTP.

mod library;

use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::observation::TicketKind as Kind;

use self::library::{Context, Credential, Library, Mechanism, Name, NameType, Status, library};

/// Characters of a fault's text that are kept.
const TEXT_KEPT: usize = 256;

/// Whose ticket: of a keytab, of a cache, or of what the environment of this process names.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// Who asks; without one, whom the keytab or the cache names first.
    pub(super) principal: Option<String>,
    /// Keys to ask for a ticket with, anew for each [`Initiator`]. It counts before `ccache`.
    pub(super) keytab: Option<PathBuf>,
    /// A cache with a ticket that somebody else renews, as `FILE:/run/egressd/ticket`.
    pub(super) ccache: Option<String>,
}

/// One login: made for one connection to the proxy.
#[derive(Debug)]
pub(super) struct Initiator {
    library: &'static Library,
    context: Context,
    target: Name,
    // Before the cache that they use: fields are dropped in this order.
    credentials: Option<Credentials>,
    _cache: Option<OwnCache>,
}

/// The same tickets twice: SPNEGO takes no credential that was made for the mechanism inside of it.
#[derive(Debug)]
struct Credentials {
    kerberos: Credential,
    spnego: Credential,
}

/// Why there is no token.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// The library's own words for its two numbers, and these.
    pub(super) text: String,
}

impl Initiator {
    /// Finds the credential and, of a keytab, asks the KDC for its first ticket.
    pub(super) fn new(source: &Source, host: &str) -> Result<Self, Fault> {
        let library = library().map_err(Fault::no_library)?;
        let fault = |status| Fault::new(library, status);
        let target = library.name(&format!("HTTP@{host}"), NameType::Service).map_err(fault)?;
        let cache = source.keytab.as_ref().map(|_| OwnCache::new(library));
        let credentials = Credentials::of(library, source, cache.as_ref())?;
        Ok(Self { library, context: library.context(), target, credentials, _cache: cache })
    }

    /// Makes the next token of the proxy's last one; of none, the first (SPNEGO, RFC 4178, raw). Whether
    /// it was the last one is the proxy's to say, not the library's.
    pub(super) fn step(&mut self, input: Option<&[u8]>) -> Result<Option<Vec<u8>>, Fault> {
        let fault = |status| Fault::new(self.library, status);
        let (kerberos, spnego) =
            self.credentials.as_ref().map(|both| (&both.kerberos, &both.spnego)).unzip();
        if input.is_none() {
            // Around SPNEGO, MIT's library (`mecherrmap_map`) gives each number of the mechanism inside
            // another one, made up in the order in which they occur. So Kerberos is asked alone, before and
            // not after it, or a KDC that is silent would be waited for twice. Its ticket for the proxy goes
            // into the cache, from where SPNEGO takes it.
            let mut alone = self.library.context();
            alone.initiate(Mechanism::Kerberos, kerberos, &self.target, None).map_err(fault)?;
        }
        self.context.initiate(Mechanism::Spnego, spnego, &self.target, input).map_err(fault)
    }
}

impl Credentials {
    /// None of a source that names nothing: then the library's own default serves, which it looks up at
    /// the first step.
    fn of(
        library: &'static Library,
        source: &Source,
        cache: Option<&OwnCache>,
    ) -> Result<Option<Self>, Fault> {
        let mut store = Vec::new();
        if let (Some(keytab), Some(cache)) = (&source.keytab, cache) {
            store.push((c"client_keytab", text_of(keytab.as_os_str().as_bytes())?));
            store.push((c"ccache", cache.name.clone()));
        } else if let Some(ccache) = &source.ccache {
            store.push((c"ccache", text_of(ccache.as_bytes())?));
        }
        if source.principal.is_none() && store.is_empty() {
            return Ok(None);
        }
        let fault = |status| Fault::new(library, status);
        let named = source.principal.as_deref();
        let principal =
            named.map(|name| library.name(name, NameType::Principal)).transpose().map_err(fault)?;
        // Kerberos first, whose numbers mean something; SPNEGO's finds its tickets in the cache.
        let get = |mechanism| library.acquire(mechanism, principal.as_ref(), &store);
        let kerberos = get(Mechanism::Kerberos).map_err(|status| {
            let fault = Fault::new(library, status);
            match &source.keytab {
                Some(keytab) => fault.at_keytab(keytab, named),
                None => fault,
            }
        })?;
        Ok(Some(Self { kerberos, spnego: get(Mechanism::Spnego).map_err(fault)? }))
    }
}

/// A cache in this process's memory, for one initiator alone: a ticket of an earlier login would hide
/// that the KDC has gone, or that the key was changed.
#[derive(Debug)]
struct OwnCache {
    library: &'static Library,
    name: CString,
}

impl OwnCache {
    fn new(library: &'static Library) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // A number has no NUL in it.
        let name = CString::new(format!("MEMORY:egressd-{count}")).unwrap_or_default();
        Self { library, name }
    }
}

impl Drop for OwnCache {
    fn drop(&mut self) {
        // The library keeps a cache in memory, tickets and all, after the credential is released.
        self.library.destroy_cache(&self.name);
    }
}

impl Fault {
    fn new(library: &Library, status: Status) -> Self {
        let (major, minor) = (status.major, status.minor);
        let text = shown(&format!("{} ({major:#x}, {minor})", library.words(status)));
        Self { kind: kind_of(major, minor), text }
    }

    /// The library passes over a keytab that it cannot use, and finds the cache for its tickets empty:
    /// its words would be about that.
    fn at_keytab(self, keytab: &Path, principal: Option<&str>) -> Self {
        if self.kind != Kind::NoTicket {
            return self;
        }
        let why = match File::open(keytab) {
            Err(error) => error.to_string(),
            Ok(_) => format!("no key in it for {}", principal.unwrap_or("anybody")),
        };
        let text = shown(&format!("{}: {why}", keytab.display()));
        Self { kind: Kind::KeytabUnreadable, text }
    }

    fn no_library(why: &str) -> Self {
        Self { kind: Kind::LibraryMissing, text: shown(why) }
    }
}

/// What can be shown in one line.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_KEPT).collect()
}

/// A string for the library, which ends at its first NUL.
fn text_of(bytes: &[u8]) -> Result<CString, Fault> {
    CString::new(bytes).map_err(|error| Fault { kind: Kind::Other, text: error.to_string() })
}

/// krb5's errors count from here (`krb5_err.et`); up to 127, from RFC 4120 7.5.9.
const KRB5: i32 = -1_765_328_384;
/// Those of its GSSAPI (`gssapi_err_krb5.et`).
const K5G: i32 = 39_756_032;

/// RFC 2744 3.9.1, the routine errors.
const NO_CRED: u32 = 7;
const CREDENTIALS_EXPIRED: u32 = 11;

/// By number, never by text. The minor one says more; the major one where that says nothing.
fn kind_of(major: u32, minor: i32) -> Kind {
    match minor.wrapping_sub(KRB5) {
        // KDC_ERR_NAME_EXP, KDC_ERR_CLIENT_REVOKED, KDC_ERR_CLIENT_NOTYET
        1 | 18 | 21 => return Kind::Revoked,
        // KDC_ERR_C_PRINCIPAL_UNKNOWN
        6 => return Kind::UnknownClient,
        // KDC_ERR_SERVICE_EXP, KDC_ERR_S_PRINCIPAL_UNKNOWN
        2 | 7 => return Kind::UnknownService,
        // KDC_ERR_KEY_EXPIRED, KDC_ERR_PREAUTH_FAILED, AP_ERR_BAD_INTEGRITY, KRB5_PREAUTH_FAILED
        23 | 24 | 31 | 210 => return Kind::WrongKey,
        // AP_ERR_TKT_EXPIRED
        32 => return Kind::Expired,
        // AP_ERR_TKT_NYV, AP_ERR_SKEW, KRB5_KDCREP_SKEW
        33 | 37 | 148 => return Kind::ClockSkew,
        // KRB5_REALM_UNKNOWN, KRB5_KDC_UNREACH, KRB5_REALM_CANT_RESOLVE
        154 | 156 | 220 => return Kind::KdcUnreachable,
        // KRB5_CC_NOTFOUND, KRB5_FCC_PERM, KRB5_FCC_NOFILE
        141 | 194 | 195 => return Kind::NoTicket,
        // KRB5_KT_BADNAME, _UNKNOWN_TYPE, _NOTFOUND, _END, KRB5_KT_IOERR, KRB5_KEYTAB_BADVNO,
        // KRB5_KT_NAME_TOOLONG, _KVNONOTFOUND, _FORMAT
        179..=182 | 184 | 213 | 229 | 230 | 235 => return Kind::KeytabUnreadable,
        _ => {}
    }
    match minor.wrapping_sub(K5G) {
        // KG_CCACHE_NOMATCH, KG_TGT_MISSING, KG_EMPTY_CCACHE
        0 | 2 | 12 => return Kind::NoTicket,
        // KG_KEYTAB_NOMATCH
        1 => return Kind::KeytabUnreadable,
        _ => {}
    }
    match major >> 16 & 0xff {
        NO_CRED => Kind::NoTicket,
        CREDENTIALS_EXPIRED => Kind::Expired,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers as MIT's `krb5.h` prints them.
    #[test]
    fn a_number_has_one_meaning() {
        for (minor, kind) in [
            (-1_765_328_383, Kind::Revoked),
            (-1_765_328_366, Kind::Revoked),
            (-1_765_328_378, Kind::UnknownClient),
            (-1_765_328_377, Kind::UnknownService),
            (-1_765_328_361, Kind::WrongKey),
            (-1_765_328_360, Kind::WrongKey),
            (-1_765_328_353, Kind::WrongKey),
            (-1_765_328_174, Kind::WrongKey),
            (-1_765_328_352, Kind::Expired),
            (-1_765_328_347, Kind::ClockSkew),
            (-1_765_328_236, Kind::ClockSkew),
            (-1_765_328_230, Kind::KdcUnreachable),
            (-1_765_328_228, Kind::KdcUnreachable),
            (-1_765_328_164, Kind::KdcUnreachable),
            (-1_765_328_243, Kind::NoTicket),
            (-1_765_328_190, Kind::NoTicket),
            (-1_765_328_189, Kind::NoTicket),
            (-1_765_328_203, Kind::KeytabUnreadable),
            (-1_765_328_200, Kind::KeytabUnreadable),
            (-1_765_328_171, Kind::KeytabUnreadable),
            (-1_765_328_149, Kind::KeytabUnreadable),
            (100_001, Kind::Other),
            (0, Kind::Other),
        ] {
            assert_eq!(kind_of(13 << 16, minor), kind, "{minor}");
        }
    }

    #[test]
    fn a_login_may_go_on_in_another_thread() {
        fn moves<T: Send>() {}
        moves::<Initiator>();
        moves::<Fault>();
    }

    #[test]
    fn the_major_number_decides_where_the_minor_one_says_nothing() {
        assert_eq!(kind_of(7 << 16, 0), Kind::NoTicket);
        assert_eq!(kind_of(11 << 16, 0), Kind::Expired);
        assert_eq!(kind_of(13 << 16, libc::ENOENT), Kind::Other);
    }

    #[test]
    fn a_keytab_that_is_passed_over_is_named() {
        let empty = || Fault { kind: Kind::NoTicket, text: String::new() };
        let missing = empty().at_keytab(Path::new("/nonexistent/key\ntab"), None);
        assert_eq!(missing.kind, Kind::KeytabUnreadable);
        assert_eq!(missing.text, "/nonexistent/key tab: No such file or directory (os error 2)");
        let other = empty().at_keytab(Path::new("/dev/null"), Some("monitor@CORP.EXAMPLE"));
        assert_eq!(other.text, "/dev/null: no key in it for monitor@CORP.EXAMPLE");
        let refused = Fault { kind: Kind::WrongKey, ..empty() };
        assert_eq!(refused.at_keytab(Path::new("/dev/null"), None).kind, Kind::WrongKey);
    }
}
