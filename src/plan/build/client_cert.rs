//! A client certificate: its file is read with the configuration, its key each time that it is used.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::ParsedCertificate;
use toml::Spanned;

use super::super::{ClientCert, Endpoint};
use super::Build;
use crate::config::{self, Problem};

impl Build<'_> {
    pub(super) fn client_cert(
        &mut self,
        table: &Spanned<config::ClientCert>,
        endpoint: Option<&Endpoint>,
    ) -> Option<ClientCert> {
        if endpoint.is_some_and(|endpoint| !endpoint.is_tls()) {
            let what = "a client certificate is shown inside of TLS, and this url is http://";
            self.fault(table.span(), what, "write https://");
        }
        let config::ClientCert { certificate, key } = table.get_ref();
        if let Some(key) = key {
            self.source_is_sound(key);
        }
        let (Some(certificate), Some(key)) = (certificate, key) else {
            let what = "a client certificate has a file and a key";
            let help = "write { certificate = \"PATH\", key = { file = \"PATH\" } }";
            self.problems.push(Problem::at(Some(table.span()), what, help).as_absence());
            return None;
        };
        let certificates = self.chain(certificate);
        let file = certificate.get_ref().clone();
        Some(ClientCert { file, certificates, key: key.get_ref().clone() })
    }

    /// Every certificate of a file, the client's first.
    fn chain(&mut self, file: &Spanned<std::path::PathBuf>) -> Vec<Vec<u8>> {
        let Some(bytes) = self.file(file.get_ref(), &file.span()) else { return Vec::new() };
        let found: Result<Vec<CertificateDer<'_>>, _> =
            CertificateDer::pem_slice_iter(bytes).collect();
        let found = found.unwrap_or_default();
        // One that no library takes for a certificate would only fail at the server.
        let sound = found.first().is_some_and(|der| ParsedCertificate::try_from(der).is_ok());
        if !sound {
            let what = format!("{} holds no certificate", file.get_ref().display());
            let help =
                "give a PEM file with the client's CERTIFICATE first, then its intermediates";
            self.fault(file.span(), what, help);
        }
        found.into_iter().map(|der| der.as_ref().to_vec()).collect()
    }
}
