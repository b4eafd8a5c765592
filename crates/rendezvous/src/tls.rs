//! TLS of a server without a proxy before it. The certificate is read again when its files change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// Takes the TLS off, with the certificate that the files hold now.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    certificate: Arc<Certificate>,
    config: Arc<ServerConfig>,
}

/// A certificate and where it came from.
#[derive(Debug)]
struct Certificate {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Seen>,
}

/// What was looked at last. A pair that is no use is not tried again until one of its files changes.
#[derive(Debug)]
struct Seen {
    stamp: Option<Stamp>,
    looked_at: Instant,
}

/// When each file was changed, and its length.
type Stamp = [(SystemTime, u64); 2];

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] when there is nothing to begin with.
    pub(crate) fn open(files: TlsFiles, now: Instant) -> Result<Self, TlsError> {
        let stamp = stamp(&files).ok();
        let current = RwLock::new(Arc::new(read(&files)?));
        let seen = Mutex::new(Seen { stamp, looked_at: now });
        let certificate = Arc::new(Certificate { files, current, seen });
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Refused)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { certificate, config: Arc::new(config) })
    }

    /// What the next connection is to be given to.
    pub(crate) fn acceptor(&self, now: Instant) -> TlsAcceptor {
        self.certificate.renew(now);
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl Certificate {
    /// Reads the files again if they changed; a pair that is no use is logged and the old one stays.
    fn renew(&self, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(seen.looked_at) < LOOK_INTERVAL {
            return;
        }
        seen.looked_at = now;
        let found = stamp(&self.files).ok();
        if found.is_none() || found == seen.stamp {
            return;
        }
        seen.stamp = found;
        match read(&self.files) {
            Ok(renewed) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(renewed);
                tracing::info!("the certificate is read again");
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(%error, cause, "the changed certificate is no use; the old one stays");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Why there is no TLS.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read as PEM, or does not hold what it should.
    #[error("{} holds no certificate or key that can be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The certificate file is empty of certificates.
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// The key is not the certificate's, or of a kind that nobody uses.
    #[error("the certificate and the key are no pair that can be used")]
    Refused(#[source] rustls::Error),
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Read { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(&files.certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: files.certificate.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key))?;
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(TlsError::Refused)?;
    // Of two files, one may be new already and the other not yet.
    pair.keys_match().map_err(TlsError::Refused)?;
    Ok(pair)
}

fn stamp(files: &TlsFiles) -> io::Result<Stamp> {
    let of = |path: &Path| -> io::Result<(SystemTime, u64)> {
        let metadata = fs::metadata(path)?;
        Ok((metadata.modified()?, metadata.len()))
    };
    Ok([of(&files.certificate)?, of(&files.key)?])
}

/// Between two looks at the files.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn make(files: &TlsFiles) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    /// A certificate in use, its files, and what it looks like.
    fn in_use(now: Instant) -> (TempDir, TlsFiles, Tls, Vec<u8>) {
        let directory = TempDir::new().unwrap();
        let path = |name| directory.path().join(name);
        let files = TlsFiles { certificate: path("cert.pem"), key: path("key.pem") };
        let first = make(&files);
        let tls = Tls::open(files.clone(), now).unwrap();
        (directory, files, tls, first)
    }

    fn shown(tls: &Tls, now: Instant) -> Vec<u8> {
        tls.acceptor(now);
        tls.certificate.current.read().unwrap().cert.first().unwrap().to_vec()
    }

    #[test]
    fn a_renewed_certificate_is_shown_within_a_second() {
        let now = Instant::now();
        let (_directory, files, tls, first) = in_use(now);
        let second = make(&files);
        assert_eq!(shown(&tls, now + LOOK_INTERVAL / 2), first, "not looked at for every connection");
        assert_eq!(shown(&tls, now + LOOK_INTERVAL), second);
    }

    #[test]
    fn what_is_no_pair_leaves_the_old_one_in_use_until_it_is_one() {
        let now = Instant::now();
        let (_directory, files, tls, first) = in_use(now);
        let key = fs::read(&files.key).unwrap();
        for (second, (certificate, text)) in (1..).zip([
            (&files.certificate, b"no certificate".to_vec()),
            (&files.certificate, Vec::new()),
            (&files.key, b"no key either".to_vec()),
        ]) {
            fs::write(certificate, text).unwrap();
            assert_eq!(shown(&tls, now + second * LOOK_INTERVAL), first);
        }
        make(&files);
        // The certificate is new, the key is not yet.
        fs::write(&files.key, key).unwrap();
        assert_eq!(shown(&tls, now + 4 * LOOK_INTERVAL), first);
        fs::remove_file(&files.key).unwrap();
        assert_eq!(shown(&tls, now + 5 * LOOK_INTERVAL), first);
        let last = make(&files);
        assert_eq!(shown(&tls, now + 6 * LOOK_INTERVAL), last);
    }

    #[test]
    fn without_a_certificate_there_is_no_server() {
        let directory = TempDir::new().unwrap();
        let path = |name| directory.path().join(name);
        let files = TlsFiles { certificate: path("cert.pem"), key: path("key.pem") };
        assert!(matches!(Tls::open(files.clone(), Instant::now()), Err(TlsError::Read { .. })));
        make(&files);
        fs::write(&files.certificate, "").unwrap();
        assert!(matches!(Tls::open(files.clone(), Instant::now()), Err(TlsError::Empty { .. })));
        let other = TlsFiles { certificate: path("other.pem"), key: path("other.key") };
        make(&other);
        let mixed = TlsFiles { certificate: other.certificate, key: files.key };
        assert!(matches!(Tls::open(mixed, Instant::now()), Err(TlsError::Refused(_))));
    }
}
