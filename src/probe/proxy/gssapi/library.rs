//! The few calls of GSSAPI (RFC 2744, RFC 5588) that a login needs, found in the host's MIT Kerberos at
//! run time: a host without it runs egressd all the same, and no build needs its headers.
//!
//! The second of the two places with `unsafe`. What it hands out is owned, typed and released by `Drop`;
//! what it hands to the library lives until the call returns, and MIT's copies what it keeps. Layouts are
//! those of `gssapi.h` on Linux, where nothing is packed.
#![expect(unsafe_code, reason = "a C library that is loaded at run time")]

use std::error::Error as _;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt::Debug;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use libloading::os::unix::Library as Loaded;

/// `gss_name_t` and the like, and `krb5_context`: pointers to what only the library knows.
type Raw = *mut c_void;

#[repr(C)]
struct Oid {
    length: u32,
    elements: *const c_void,
}

#[repr(C)]
struct OidSet {
    count: usize,
    elements: *const Oid,
}

#[repr(C)]
struct Buffer {
    length: usize,
    value: *const c_void,
}

#[repr(C)]
struct Element {
    key: *const c_char,
    value: *const c_char,
}

#[repr(C)]
struct ElementSet {
    count: u32,
    elements: *const Element,
}

type ImportName = unsafe extern "C" fn(*mut u32, *const Buffer, *const Oid, *mut Raw) -> u32;
type AcquireCredFrom = unsafe extern "C" fn(
    *mut u32,
    Raw,
    u32,
    *const OidSet,
    c_int,
    *const ElementSet,
    *mut Raw,
    *mut *mut OidSet,
    *mut u32,
) -> u32;
type InitSecContext = unsafe extern "C" fn(
    *mut u32,
    Raw,
    *mut Raw,
    Raw,
    *const Oid,
    u32,
    u32,
    *const c_void,
    *const Buffer,
    *mut *mut Oid,
    *mut Buffer,
    *mut u32,
    *mut u32,
) -> u32;
type DisplayStatus =
    unsafe extern "C" fn(*mut u32, u32, c_int, *const Oid, *mut u32, *mut Buffer) -> u32;
type Release = unsafe extern "C" fn(*mut u32, *mut Raw) -> u32;
type DeleteSecContext = unsafe extern "C" fn(*mut u32, *mut Raw, *mut Buffer) -> u32;
type ReleaseBuffer = unsafe extern "C" fn(*mut u32, *mut Buffer) -> u32;
type InitContext = unsafe extern "C" fn(*mut Raw) -> i32;
type FreeContext = unsafe extern "C" fn(Raw);
type Resolve = unsafe extern "C" fn(Raw, *const c_char, *mut Raw) -> i32;
type Destroy = unsafe extern "C" fn(Raw, Raw) -> i32;

/// The library. It stays loaded: it has threads' keys and error tables of its own.
#[derive(Debug)]
pub(super) struct Library {
    import_name: ImportName,
    acquire_cred_from: AcquireCredFrom,
    init_sec_context: InitSecContext,
    display_status: DisplayStatus,
    release_name: Release,
    release_cred: Release,
    delete_sec_context: DeleteSecContext,
    release_buffer: ReleaseBuffer,
    init_context: InitContext,
    free_context: FreeContext,
    resolve: Resolve,
    destroy: Destroy,
    _loaded: Loaded,
}

/// The numbers of a call that failed; the minor one is the mechanism's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub(super) major: u32,
    pub(super) minor: i32,
}

/// Their DER, without tag and length (RFC 4178, RFC 4121).
#[derive(Clone, Copy, Debug)]
pub(super) enum Mechanism {
    Spnego,
    Kerberos,
}

impl Mechanism {
    const fn oid(self) -> Oid {
        oid(match self {
            Self::Spnego => &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02],
            Self::Kerberos => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02],
        })
    }
}

/// How a name is written: `HTTP@host` (RFC 2743 4.1), or as Kerberos does (RFC 1964 2.1.1).
#[derive(Clone, Copy, Debug)]
pub(super) enum NameType {
    Service,
    Principal,
}

impl NameType {
    const fn oid(self) -> Oid {
        oid(match self {
            Self::Service => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x01, 0x04],
            Self::Principal => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01],
        })
    }
}

const fn oid(bytes: &'static [u8]) -> Oid {
    // A few bytes each.
    #[expect(clippy::cast_possible_truncation, reason = "constants of at most ten bytes")]
    Oid { length: bytes.len() as u32, elements: bytes.as_ptr().cast() }
}

/// Loads the library once; says why there is none, each time.
pub(super) fn library() -> Result<&'static Library, &'static str> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            // What dlerror(3) said is the error's source.
            load().map_err(|error| match error.source() {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            })
        })
        .as_ref()
        .map_err(String::as_str)
}

fn load() -> Result<Library, libloading::Error> {
    // SAFETY: the initialisers of MIT Kerberos register its own state and need nothing of ours. Each name
    // is that of a function with this signature since 1.11, under this version of the shared object; those
    // of krb5 are in what it is linked with, where dlsym(3) looks as well.
    unsafe {
        let loaded = Loaded::new("libgssapi_krb5.so.2")?;
        Ok(Library {
            import_name: *loaded.get(b"gss_import_name\0")?,
            acquire_cred_from: *loaded.get(b"gss_acquire_cred_from\0")?,
            init_sec_context: *loaded.get(b"gss_init_sec_context\0")?,
            display_status: *loaded.get(b"gss_display_status\0")?,
            release_name: *loaded.get(b"gss_release_name\0")?,
            release_cred: *loaded.get(b"gss_release_cred\0")?,
            delete_sec_context: *loaded.get(b"gss_delete_sec_context\0")?,
            release_buffer: *loaded.get(b"gss_release_buffer\0")?,
            init_context: *loaded.get(b"krb5_init_context\0")?,
            free_context: *loaded.get(b"krb5_free_context\0")?,
            resolve: *loaded.get(b"krb5_cc_resolve\0")?,
            destroy: *loaded.get(b"krb5_cc_destroy\0")?,
            _loaded: loaded,
        })
    }
}

/// Something of the library's, released once.
#[derive(Debug)]
struct Owned {
    raw: Raw,
    release: Release,
}

// SAFETY: MIT's objects belong to no thread; one must not be used by two at once, and this is not `Sync`.
unsafe impl Send for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: `raw` is what the library gave for this kind of object, or null, which it accepts.
        unsafe { (self.release)(&mut 0, &raw mut self.raw) };
    }
}

/// A name that the library took in.
#[derive(Debug)]
pub(super) struct Name(Owned);

/// A credential to initiate with.
#[derive(Debug)]
pub(super) struct Credential(Owned);

/// A login on its way. Null until its first step.
#[derive(Debug)]
pub(super) struct Context {
    library: &'static Library,
    raw: Raw,
}

// SAFETY: as of `Owned`.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: `raw` is this context or null; no token is asked for.
        unsafe { (self.library.delete_sec_context)(&mut 0, &raw mut self.raw, null_mut()) };
    }
}

impl Library {
    pub(super) fn name(&'static self, text: &str, written: NameType) -> Result<Name, Status> {
        let (text, written) = (Buffer::of(text.as_bytes()), written.oid());
        let mut minor = 0;
        let mut raw = null_mut();
        // SAFETY: the buffer and the OID outlive the call, which copies them.
        let major = unsafe {
            (self.import_name)(&raw mut minor, &raw const text, &raw const written, &raw mut raw)
        };
        let name = Name(Owned { raw, release: self.release_name });
        check(major, minor).map(|()| name)
    }

    /// A credential of a mechanism, from where the elements of a store say (RFC 5588 does not have them:
    /// MIT's "Credential store extensions").
    pub(super) fn acquire(
        &'static self,
        mechanism: Mechanism,
        name: Option<&Name>,
        store: &[(&CStr, CString)],
    ) -> Result<Credential, Status> {
        /// `GSS_C_INITIATE`.
        const INITIATE: c_int = 1;
        let elements: Vec<Element> = store
            .iter()
            .map(|(key, value)| Element { key: key.as_ptr(), value: value.as_ptr() })
            .collect();
        let count = u32::try_from(elements.len()).unwrap_or_default();
        let set = ElementSet { count, elements: elements.as_ptr() };
        let mechanism = mechanism.oid();
        let mechanisms = OidSet { count: 1, elements: &raw const mechanism };
        let mut minor = 0;
        let mut raw = null_mut();
        // SAFETY: every pointer is to what outlives the call, or null where nothing is wanted; a name is
        // null or the library's.
        let major = unsafe {
            (self.acquire_cred_from)(
                &raw mut minor,
                name.map_or(null_mut(), |name| name.0.raw),
                0,
                &raw const mechanisms,
                INITIATE,
                if store.is_empty() { null() } else { &raw const set },
                &raw mut raw,
                null_mut(),
                null_mut(),
            )
        };
        let credential = Credential(Owned { raw, release: self.release_cred });
        check(major, minor).map(|()| credential)
    }

    pub(super) fn context(&'static self) -> Context {
        Context { library: self, raw: null_mut() }
    }

    /// Its words for both numbers, on the thread that got them: the library keeps the details there.
    pub(super) fn words(&self, status: Status) -> String {
        const GSS_CODE: c_int = 1;
        const MECH_CODE: c_int = 2;
        let minor = status.minor.cast_unsigned();
        [(status.major, GSS_CODE), (minor, MECH_CODE)]
            .into_iter()
            .filter(|(code, _)| *code != 0)
            .map(|(code, kind)| self.word(code, kind))
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn word(&self, code: u32, kind: c_int) -> String {
        let (mut minor, mut more) = (0, 0);
        let mut text = Buffer::of(&[]);
        let kerberos = Mechanism::Kerberos.oid();
        // SAFETY: every pointer is to what outlives the call; the library fills `text`.
        unsafe {
            let pointer = &raw const kerberos;
            (self.display_status)(
                &raw mut minor,
                code,
                kind,
                pointer,
                &raw mut more,
                &raw mut text,
            );
        }
        String::from_utf8_lossy(&self.take(text)).into_owned()
    }

    /// Forgets a cache of this name, and what is in it.
    pub(super) fn destroy_cache(&self, name: &CStr) {
        let (mut context, mut cache) = (null_mut(), null_mut());
        // SAFETY: the context is made before and freed after what uses it; to destroy a cache ends its
        // handle too. The name outlives the call.
        unsafe {
            if (self.init_context)(&raw mut context) == 0 {
                if (self.resolve)(context, name.as_ptr(), &raw mut cache) == 0 {
                    (self.destroy)(context, cache);
                }
                (self.free_context)(context);
            }
        }
    }

    /// A copy of what the library allocated, which is released.
    fn take(&self, mut buffer: Buffer) -> Vec<u8> {
        let mut bytes = Vec::new();
        if buffer.length > 0 && !buffer.value.is_null() {
            // SAFETY: the library says that so many bytes are there, and nobody else has them.
            let there =
                unsafe { std::slice::from_raw_parts(buffer.value.cast::<u8>(), buffer.length) };
            bytes.extend_from_slice(there);
            // SAFETY: the library allocated it.
            unsafe { (self.release_buffer)(&mut 0, &raw mut buffer) };
        }
        bytes
    }
}

impl Context {
    /// One step: the token to send, if any. Nothing is asked for beyond
    /// the login (no delegation, no proof of the peer): a proxy may then accept in silence.
    pub(super) fn initiate(
        &mut self,
        mechanism: Mechanism,
        credential: Option<&Credential>,
        target: &Name,
        input: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, Status> {
        let mut minor = 0;
        let mechanism = mechanism.oid();
        let input = Buffer::of(input.unwrap_or_default());
        let mut output = Buffer::of(&[]);
        // SAFETY: every pointer is to what outlives the call, or null where nothing is wanted; the objects
        // are the library's, null for the default credential and for a context that has not begun.
        let major = unsafe {
            (self.library.init_sec_context)(
                &raw mut minor,
                credential.map_or(null_mut(), |credential| credential.0.raw),
                &raw mut self.raw,
                target.0.raw,
                &raw const mechanism,
                0,
                0,
                null(),
                &raw const input,
                null_mut(),
                &raw mut output,
                null_mut(),
                null_mut(),
            )
        };
        let token = self.library.take(output);
        check(major, minor)?;
        Ok((!token.is_empty()).then_some(token))
    }
}

impl Buffer {
    const fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len(), value: bytes.as_ptr().cast() }
    }
}

/// RFC 2744 3.9.1: the upper half says that it failed; the lower one only adds something.
fn check(major: u32, minor: u32) -> Result<(), Status> {
    let minor = minor.cast_signed();
    if major & 0xffff_0000 == 0 { Ok(()) } else { Err(Status { major, minor }) }
}
