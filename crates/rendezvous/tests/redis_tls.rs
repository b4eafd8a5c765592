//! Instances whose Redis is reached by TLS, and has a certificate of an authority of the operator's own.

#![allow(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod common;
mod redis_server;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rendezvous::{Config, ConfigError, TlsFiles};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, ServerConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wire::signaling::{Door, Role};

use self::common::TestServer;
use self::redis_server::Redis;

/// A certificate for `localhost` of an authority that nobody else knows.
struct Private {
    authority: PathBuf,
    files: TlsFiles,
    _directory: TempDir,
}

impl Private {
    fn new(name: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |file: &str| directory.path().join(file);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &authority).unwrap();
        let files = TlsFiles { certificate: path("redis.pem"), key: path("redis.key") };
        fs::write(path("ca.pem"), authority.as_ref().pem()).unwrap();
        fs::write(&files.certificate, leaf.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        Self { authority: path("ca.pem"), files, _directory: directory }
    }
}

/// What an operator writes.
fn config(port: u16, authority: Option<&Path>) -> Result<Config, ConfigError> {
    let authority = authority.map(|path| format!("\nredis_ca_file = '{}'", path.display()));
    let text = format!("redis = 'rediss://localhost:{port}'{}", authority.unwrap_or_default());
    Config::load(None, [], [text.parse().unwrap()])
}

#[tokio::test]
async fn two_instances_share_a_redis_that_an_authority_of_their_own_vouches_for() {
    let private = Private::new("authority of the operator");
    let (redis, port) = Redis::start_encrypted(&private.files);
    let config = config(port, Some(&private.authority)).unwrap();
    let [a, b] = [TestServer::start(config.clone()).await, TestServer::start(config).await];
    for server in [&a, &b] {
        redis_server::until(|| server.handle.rendezvous().is_ready()).await;
    }
    let (mut sender, mut receiver) = (a.connect().await, b.connect().await);
    let nameplate = sender.create().await;
    receiver.claim(nameplate).await;
    sender.paired(Door::Typed).await;
    receiver.paired(Door::Typed).await;
    receiver.meet(Role::Receiver).await;
    assert!(redis.run(&["keys", "*"]).contains("send:"));
}

/// Takes one connection as a Redis would; what the client says against its certificate.
async fn complaint(listener: &TcpListener, files: &TlsFiles) -> Option<AlertDescription> {
    let chain = vec![CertificateDer::from_pem_file(&files.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let error = TlsAcceptor::from(Arc::new(config)).accept(stream).await.err()?;
    let error: &rustls::Error = error.get_ref()?.downcast_ref()?;
    let rustls::Error::AlertReceived(alert) = error else { panic!("{error}") };
    Some(*alert)
}

#[tokio::test]
async fn a_redis_that_nobody_known_vouches_for_is_told_nothing() {
    let (private, other) = (Private::new("authority of the operator"), Private::new("another authority"));
    for authority in [None, Some(other.authority.as_path())] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let config = config(listener.local_addr().unwrap().port(), authority).unwrap();
        let server = TestServer::start(config).await;
        assert_eq!(complaint(&listener, &private.files).await, Some(AlertDescription::UnknownCA));
        assert!(!server.handle.rendezvous().is_ready());
    }
}

#[test]
fn a_file_without_authorities_is_an_error_and_not_a_redis_that_anybody_may_be() {
    let directory = TempDir::new().unwrap();
    let empty = directory.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    assert!(matches!(config(6379, Some(&empty)), Err(ConfigError::Redis(_))));
    assert!(matches!(config(6379, Some(&directory.path().join("none"))), Err(ConfigError::Read { .. })));
}
