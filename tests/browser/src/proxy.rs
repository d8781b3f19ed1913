//! nginx in front of a world, with the configuration that `deploy/nginx` recommends.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use pathbound::demo::world::World;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};
use tokio::net::TcpListener;

use crate::{Failure, program, root};

/// A world of its own behind a proxy that ends TLS.
pub(crate) struct Proxied {
    pub(crate) world: World,
    nginx: Nginx,
    pub(crate) ops_url: String,
}

/// Where browsers reach the two listeners, and where the world itself listens.
struct Ports {
    public: u16,
    ops: u16,
    api: u16,
    ops_listener: u16,
}

/// Dropping it stops it.
struct Nginx {
    process: Child,
    folder: PathBuf,
}

impl Proxied {
    /// `None` if this machine has no nginx.
    pub(crate) async fn start() -> Result<Option<Self>, Failure> {
        let Some(nginx) = program(&["nginx"]) else {
            return Ok(None);
        };
        let (public, ops) = (servers::free_port()?, servers::free_port()?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = listener.local_addr()?.port();
        let world =
            World::start_behind(&format!("https://localhost:{public}"), listener, &[]).await?;
        let ports = Ports {
            public,
            ops,
            api,
            ops_listener: world.config.ops_listen.port(),
        };
        Ok(Some(Self {
            nginx: Nginx::start(&nginx, &ports)?,
            world,
            ops_url: format!("https://localhost:{ops}/ops/"),
        }))
    }

    /// The authority that signed the proxy's certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.nginx.folder.join("authority.pem")
    }

    pub(crate) async fn stop(self) {
        drop(self.nginx);
        self.world.stop().await;
    }
}

impl Nginx {
    fn start(program: &Path, ports: &Ports) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("pathbound-nginx-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&folder)?;
        write_certificates(&folder)?;
        fs::write(folder.join("nginx.conf"), configuration(ports, &folder)?)?;
        let process = Command::new(program)
            .arg("-p")
            .arg(&folder)
            .args(["-c", "nginx.conf", "-e", "stderr"])
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self { process, folder })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The recommended configuration, with the ports and files of this run.
fn configuration(ports: &Ports, folder: &Path) -> Result<String, Failure> {
    let file = root().join("deploy/nginx/pathbound.conf");
    let mut text = fs::read_to_string(file)?;
    let folder = folder.display().to_string();
    for (theirs, ours) in [
        (
            "listen 443 ssl;\n    server_name pathbound",
            format!(
                "listen 127.0.0.1:{} ssl;\n    server_name pathbound",
                ports.public
            ),
        ),
        (
            "listen 443 ssl;\n    server_name ops",
            format!("listen 127.0.0.1:{} ssl;\n    server_name ops", ports.ops),
        ),
        ("127.0.0.1:8080", format!("127.0.0.1:{}", ports.api)),
        (
            "127.0.0.1:8081",
            format!("127.0.0.1:{}", ports.ops_listener),
        ),
        ("/etc/nginx/tls", folder.clone()),
    ] {
        if !text.contains(theirs) {
            return Err(format!("deploy/nginx/pathbound.conf has no {theirs:?}").into());
        }
        text = text.replace(theirs, &ours);
    }
    // One process of this account, which writes nowhere but into its folder.
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .concat();
    Ok(format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr error;\nevents {{}}\nhttp {{\naccess_log off;\n{kept}{text}}}\n"
    ))
}

fn write_certificates(folder: &Path) -> Result<(), Failure> {
    let named = |certificate: &mut CertificateParams, name| {
        certificate.distinguished_name = DistinguishedName::new();
        certificate
            .distinguished_name
            .push(DnType::CommonName, name);
    };
    let key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    named(&mut authority, "an authority of the tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&key)?;
    fs::write(folder.join("authority.pem"), authority.pem())?;
    let own = KeyPair::generate()?;
    let mut signed = CertificateParams::new(vec!["localhost".to_owned()])?;
    named(&mut signed, "localhost");
    let signed = signed.signed_by(&own, &authority, &key)?;
    fs::write(folder.join("pathbound.crt"), signed.pem())?;
    fs::write(folder.join("pathbound.key"), own.serialize_pem())?;
    Ok(())
}
