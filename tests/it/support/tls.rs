//! Certificates of an authority that only the test knows, and a server that shows them.

use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, DistinguishedName, DnType, IsCa, KeyPair,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A folder with the authority `ca.pem`, and `server.pem`, `client.pem` with their keys `server.key`, `client.key`.
pub(crate) struct Certificates(PathBuf);

impl Certificates {
    pub(crate) fn new() -> Self {
        let name = format!("pathbound-tls-{}", uuid::Uuid::now_v7().simple());
        let made = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&made.0).unwrap();
        // The servers run as another account.
        std::fs::set_permissions(&made.0, PermissionsExt::from_mode(0o755)).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        // Every certificate has a name of its own, because one whose issuer has the same name passes for self-signed.
        let named = |certificate: &mut CertificateParams, name| {
            certificate.distinguished_name = DistinguishedName::new();
            certificate
                .distinguished_name
                .push(DnType::CommonName, name);
        };
        named(&mut authority, "authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = authority.self_signed(&key).unwrap();
        made.write("ca.pem", &authority.pem());
        for name in ["server", "client"] {
            let own = KeyPair::generate().unwrap();
            let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
            let mut signed = CertificateParams::new(names).unwrap();
            named(&mut signed, name);
            let signed = signed.signed_by(&own, &authority, &key).unwrap();
            made.write(&format!("{name}.pem"), &signed.pem());
            made.write(&format!("{name}.key"), &own.serialize_pem());
        }
        let CertifiedKey { cert, .. } = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
        made.write("other-ca.pem", &cert.pem());
        made
    }

    /// Lets the servers' account alone read a file, because Postgres refuses a key that others can read.
    pub(crate) fn keep_private(&self, name: &str) {
        let path = self.path(name);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        if let Some(account) = servers::Account::for_servers().unwrap() {
            std::os::unix::fs::chown(&path, Some(account.uid), Some(account.gid)).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o644)).unwrap();
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Opens TLS in front of a server that speaks none, as a proxy with an authority of its own does.
pub(crate) struct TlsFront {
    pub(crate) port: u16,
    target: Arc<OnceLock<String>>,
}

impl TlsFront {
    /// Shows the server's certificate of `files` to clients.
    pub(crate) async fn open(files: &Certificates) -> Self {
        let read = |name| std::fs::read(files.path(name)).unwrap();
        let chain = CertificateDer::pem_slice_iter(&read("server.pem"))
            .collect::<Result<_, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(&read("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let (acceptor, target) = (
            TlsAcceptor::from(Arc::new(config)),
            Arc::new(OnceLock::new()),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Self {
            port: listener.local_addr().unwrap().port(),
            target: Arc::clone(&target),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, target) = (acceptor.clone(), Arc::clone(&target));
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let target: &String = target.get().expect("a server behind it");
                    let mut server = TcpStream::connect(target).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        front
    }

    /// Names the server behind it, by its URL.
    pub(crate) fn put_before(&self, url: &str) {
        let address = url.trim_start_matches("http://").to_owned();
        self.target.set(address).unwrap();
    }
}
