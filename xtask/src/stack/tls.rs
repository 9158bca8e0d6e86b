//! Certificates of the stack: an authority of its own, a certificate for the servers, one for clients. Made once per stack.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// Folder of the files, in the folder of the stack.
pub const FOLDER: &str = "tls";
/// Where everything listens.
const HOST: &str = "127.0.0.1";

/// Where the files of a stack are.
pub fn folder(stack: &Path) -> PathBuf {
    stack.join(FOLDER)
}

/// The files, in a folder of the stack.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Those of a stack, made if there are none yet.
    pub fn of(stack: &Path) -> Result<Self> {
        let certificates = Certificates { folder: folder(stack) };
        // the last file that is made
        if !certificates.client_key().exists() {
            let folder = &certificates.folder;
            certificates.make().with_context(|| format!("making certificates in {}", folder.display()))?;
        }
        Ok(certificates)
    }

    /// Certificate of the authority.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Certificate of the servers, and of the services of a mesh.
    pub fn server(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// Its key.
    pub fn server_key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// Key and certificate of the servers in one file, as Java wants them.
    pub fn server_both(&self) -> PathBuf {
        self.folder.join("server-both.pem")
    }

    /// Certificate of a client.
    pub fn client(&self) -> PathBuf {
        self.folder.join("client.pem")
    }

    /// Its key.
    pub fn client_key(&self) -> PathBuf {
        self.folder.join("client.key")
    }

    fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut params = CertificateParams::new(Vec::new())?;
        // OpenSSL takes a certificate whose issuer has its own name for one that has signed itself
        params.distinguished_name.push(DnType::CommonName, "authority of the esp-mesh stack");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(self.ca(), authority.pem())?;
        for (certificate, key) in [(self.server(), self.server_key()), (self.client(), self.client_key())] {
            let pair = KeyPair::generate()?;
            let mut signed = CertificateParams::new(vec![HOST.to_owned(), "localhost".to_owned()])?;
            signed.distinguished_name.push(DnType::CommonName, HOST);
            fs::write(certificate, signed.signed_by(&pair, &authority)?.pem())?;
            fs::write(key, pair.serialize_pem())?;
        }
        let both = [fs::read_to_string(self.server_key())?, fs::read_to_string(self.server())?].concat();
        fs::write(self.server_both(), both)?;
        Ok(())
    }
}
