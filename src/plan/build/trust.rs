//! The roots of the three judgements.

use std::ops::Range;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use toml::Spanned;

use super::super::Trust;
use super::Build;
use crate::config;

impl<'a> Build<'a> {
    pub(super) fn trust(&mut self, trust: &config::Trust) -> Trust {
        let organisation: Vec<Vec<u8>> = trust
            .ca_files
            .iter()
            .flat_map(|file| self.certificates(file.get_ref(), &file.span()))
            .collect();
        let place = trust.public_roots.span();
        let public = trust.public_roots.get_ref();
        let public =
            (public != "bundled").then(|| self.certificates(&PathBuf::from(public), &place));
        let system = match (&self.given.system_roots, trust.system) {
            (_, false) => None,
            (Ok(roots), true) => Some(roots.clone()),
            (Err(_), true) => Some(Vec::new()),
        };
        let bundle = |file: &Spanned<PathBuf>| {
            let name = file.get_ref().display().to_string();
            (name, self.certificates(file.get_ref(), &file.span()))
        };
        let also = trust.also.iter().map(bundle).collect();
        let files = trust.ca_files.iter().map(|file| file.get_ref().clone());
        let files = files.chain(public.is_some().then(|| trust.public_roots.get_ref().into()));
        let files = files.collect();
        Trust { system, organisation, public, also, files }
    }

    pub(super) fn certificates(&mut self, path: &PathBuf, place: &Range<usize>) -> Vec<Vec<u8>> {
        let Some(bytes) = self.file(path, place) else { return Vec::new() };
        let found: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(bytes)
            .filter_map(Result::ok)
            .filter(|der| RootCertStore::empty().add(der.clone()).is_ok())
            .map(|der| der.as_ref().to_vec())
            .collect();
        if found.is_empty() {
            self.fault(
                place.clone(),
                format!("{} holds no CA certificate", path.display()),
                "give a PEM file with at least one CERTIFICATE",
            );
        }
        found
    }

    /// What a file holds; none where it was not read, with the reason among the problems.
    pub(super) fn file(&mut self, path: &PathBuf, place: &Range<usize>) -> Option<&'a [u8]> {
        match self.given.files.get(path)? {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                self.fault(
                    place.clone(),
                    format!("{} cannot be read: {why}", path.display()),
                    "correct the path, or its permissions",
                );
                None
            }
        }
    }
}
