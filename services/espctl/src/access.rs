//! What espctl shows to the mesh, and whom it trusts.

use std::path::PathBuf;

use clap::Args;
use mesh_service::config::Problems;
use mesh_service::security::Caller;

use crate::fail::Fail;

/// Certificates and token; the same for every command.
#[derive(Debug, Args)]
pub struct Access {
    /// PEM file with the authorities of the mesh; it is called with TLS then
    #[arg(long, global = true, env = "ESP_TLS_CA", value_name = "FILE", help_heading = "Access")]
    tls_ca: Option<PathBuf>,
    /// PEM file with the certificate to show, where the mesh asks for one
    #[arg(
        long,
        global = true,
        env = "ESP_TLS_CERT",
        value_name = "FILE",
        requires = "tls_ca",
        help_heading = "Access"
    )]
    tls_cert: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, global = true, env = "ESP_TLS_KEY", value_name = "FILE", requires = "tls_ca", help_heading = "Access")]
    tls_key: Option<PathBuf>,
    /// File with the token to show, where the mesh asks for one
    #[arg(long, global = true, env = "ESP_TOKEN_FILE", value_name = "FILE", help_heading = "Access")]
    token_file: Option<PathBuf>,
}

impl Access {
    /// Reads the files.
    pub fn caller(&self) -> Result<Caller, Fail> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let (ca, cert, key, token) =
            (path(&self.tls_ca), path(&self.tls_cert), path(&self.tls_key), path(&self.token_file));
        let mut problems = Problems::default();
        let named = [("--tls-cert", cert.as_str()), ("--tls-key", key.as_str())];
        let caller = Caller::from_files(("--tls-ca", &ca), named, ("--token-file", &token), &mut problems);
        if problems.is_empty() {
            return Ok(caller);
        }
        let each: Vec<String> = problems.list().iter().map(ToString::to_string).collect();
        Err(Fail::input(each.join("; ")))
    }
}
