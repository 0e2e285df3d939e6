//! The options of curl (curl.se, "curl.1", and `curl --help all` of 7.88; later ones up to 8.16): which of them take
//! a value. What an option does to a request is `curl`'s.

use crate::config::nearest;

/// Those with a value; behind a slash the short form.
const VALUED: &str = "\
    abstract-unix-socket alt-svc aws-sigv4 cacert capath cert-type cert/E ciphers config/K \
    connect-timeout connect-to continue-at/C cookie-jar/c cookie/b create-file-mode crlfile \
    curves data-ascii data-binary data-raw data-urlencode data/d delegation dns-interface \
    dns-ipv4-addr dns-ipv6-addr dns-servers doh-url dump-header/D ech egd-file engine \
    etag-compare etag-save expand-data expand-data-binary expand-data-raw expand-header \
    expand-json expand-output expand-url expand-user expect100-timeout form-string form/F \
    ftp-account ftp-alternative-to-user ftp-method ftp-port/P ftp-ssl-ccc-mode \
    happy-eyeballs-timeout-ms haproxy-clientip header/H help/h hostpubmd5 hostpubsha256 hsts \
    interface ip-tos ipfs-gateway json keepalive-cnt keepalive-time key key-type krb libcurl \
    limit-rate local-port login-options mail-auth mail-from mail-rcpt max-filesize max-redirs \
    max-time/m netrc-file noproxy oauth2-bearer output-dir output/o parallel-max \
    parallel-max-host pass pinnedpubkey preproxy proto proto-default proto-redir proxy-cacert \
    proxy-capath proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile proxy-header proxy-key \
    proxy-key-type proxy-pass proxy-pinnedpubkey proxy-service-name proxy-tls13-ciphers \
    proxy-tlsauthtype proxy-tlspassword proxy-tlsuser proxy-user/U proxy/x proxy1.0 pubkey \
    quote/Q random-file range/r rate referer/e request-target request/X resolve retry \
    retry-delay retry-max-time sasl-authzid service-name sigalgs socks4 socks4a socks5 \
    socks5-gssapi-service socks5-hostname speed-limit/Y speed-time/y stderr telnet-option/t \
    tftp-blksize time-cond/z tls-max tls13-ciphers tlsauthtype tlspassword tlsuser trace \
    trace-ascii trace-config unix-socket upload-file/T upload-flags url url-query user-agent/A \
    user/u variable vlan-priority write-out/w";

/// Those without.
const FLAGS: &str = "\
    anyauth append/a basic ca-native cert-status compressed compressed-ssh create-dirs crlf \
    digest disable-eprt disable-epsv disable/q disallow-username-in-url doh-cert-status \
    doh-insecure dump-ca-embed fail-early fail-with-body fail/f false-start follow form-escape \
    ftp-create-dirs ftp-pasv ftp-pret ftp-skip-pasv-ip ftp-ssl-ccc ftp-ssl-control get/G \
    globoff/g haproxy-protocol head/I http0.9 http1.0/0 http1.1 http2 http2-prior-knowledge \
    http3 http3-only ignore-content-length include/i insecure/k ipv4/4 ipv6/6 \
    junk-session-cookies/j list-only/l location-trusted location/L mail-rcpt-allowfails manual/M \
    metalink mptcp negotiate netrc-optional netrc/n next/: no-alpn no-buffer/N no-clobber \
    no-keepalive no-npn no-progress-meter no-sessionid ntlm ntlm-wb out-null parallel-immediate \
    parallel/Z path-as-is post301 post302 post303 progress-bar/# proxy-anyauth proxy-basic \
    proxy-ca-native proxy-digest proxy-http2 proxy-insecure proxy-negotiate proxy-ntlm \
    proxy-ssl-allow-beast proxy-ssl-auto-client-cert proxy-tlsv1 proxytunnel/p raw \
    remote-header-name/J remote-name-all remote-name/O remote-time/R remove-on-error \
    retry-all-errors retry-connrefused sasl-ir show-error/S silent/s skip-existing socks5-basic \
    socks5-gssapi socks5-gssapi-nec ssl ssl-allow-beast ssl-auto-client-cert ssl-no-revoke \
    ssl-reqd ssl-revoke-best-effort sslv2/2 sslv3/3 styled-output suppress-connect-headers \
    tcp-fastopen tcp-nodelay test-event tftp-no-options tls-earlydata tlsv1.0 tlsv1.1 tlsv1.2 \
    tlsv1.3 tlsv1/1 tr-encoding trace-ids trace-time use-ascii/B verbose/v version/V xattr";

/// Options that decide over which way, to which server or in which version of a protocol a request goes.
const OF_THE_WAY: &str = "\
    abstract-unix-socket anyauth cacert capath cert ciphers connect-to digest dns-interface \
    dns-ipv4-addr dns-ipv6-addr dns-servers doh-url ech haproxy-clientip haproxy-protocol http0.9 \
    http1.0 http1.1 http2 http2-prior-knowledge http3 http3-only insecure interface ipv4 ipv6 key \
    local-port location negotiate no-alpn noproxy ntlm path-as-is pinnedpubkey preproxy \
    proxy-anyauth proxy-cacert proxy-capath proxy-cert proxy-digest proxy-header proxy-insecure \
    proxy-key proxy-negotiate proxy-ntlm proxy-user proxytunnel request-target resolve sslv2 sslv3 \
    tls-max tls13-ciphers tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 unix-socket";

/// A name that is longer is none, and like none.
const LONGEST_NAME: usize = 64;

/// Whether an option decides the way.
pub(super) fn is_of_the_way(name: &str) -> bool {
    OF_THE_WAY.split_ascii_whitespace().any(|known| known == name)
}

/// An option of curl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opt {
    /// Its long name.
    pub(super) name: &'static str,
    /// Whether the next word, or what stands behind the letter, is its value.
    pub(super) valued: bool,
}

fn all() -> impl Iterator<Item = (Opt, Option<char>)> {
    let of = |text: &'static str, valued| {
        text.split_ascii_whitespace().map(move |entry| {
            let (name, short) = entry.split_once('/').unwrap_or((entry, ""));
            (Opt { name, valued }, short.chars().next())
        })
    };
    of(VALUED, true).chain(of(FLAGS, false))
}

/// The option of this letter.
pub(super) fn short(letter: char) -> Option<Opt> {
    all().find(|(_, short)| *short == Some(letter)).map(|(option, _)| option)
}

/// The option of this name; `no-` before one without a value turns it off.
pub(super) fn long(name: &str) -> Option<Opt> {
    all().map(|(option, _)| option).find(|option| option.name == name)
}

/// What was probably meant, where that can be said.
pub(super) fn meant(name: &str) -> String {
    let no_name = "take it out, or see `curl --help all`";
    if name.len() > LONGEST_NAME {
        return no_name.to_owned();
    }
    let known: Vec<&str> = all().map(|(option, _)| option.name).collect();
    let found = nearest(name, &known);
    // Not all two hundred of them.
    if found.starts_with("known here") {
        return no_name.to_owned();
    }
    found.replace('`', "").replace("did you mean ", "did you mean --")
}
