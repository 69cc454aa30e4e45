//! TLS with a certificate from files, which are read again when they change.

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those that lead to one that browsers know (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM: PKCS #8, PKCS #1 or SEC1).
    pub key: PathBuf,
    /// How often both are looked at.
    pub look_every: Duration,
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("failed to read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{} holds no {wanted}", file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// A file is not in PEM.
    #[error("{} is not in the form PEM: {why}", file.display())]
    NotPem {
        /// The file.
        file: PathBuf,
        /// What was found.
        why: String,
    },
    /// The key belongs to another certificate, or is of a kind that is not used.
    #[error("the key in {} does not fit the certificate in {}: {why}", key.display(), certificate.display())]
    Mismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
        /// What the library says.
        why: rustls::Error,
    },
}

/// The certificate in use.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Reads the files.
    pub fn open(files: &TlsFiles) -> Result<Self, TlsError> {
        let key = read(files)?;
        Ok(Self { files: files.clone(), current: Arc::new(Current(RwLock::new(Arc::new(key)))) })
    }

    /// What makes a TLS connection of one without.
    pub fn acceptor(&self) -> TlsAcceptor {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the versions that it was made with");
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as _;
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Takes over a renewed certificate. One that cannot be used leaves the last one in place.
    pub async fn watch(self: Arc<Self>, down: CancellationToken) {
        let mut told = String::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.files.look_every) => {}
                () = down.cancelled() => return,
            }
            match read(&self.files) {
                Ok(found) => {
                    told.clear();
                    let mut current = self.current.0.write().unwrap_or_else(PoisonError::into_inner);
                    if current.cert != found.cert {
                        *current = Arc::new(found);
                        tracing::info!(file = %self.files.certificate.display(), "a renewed certificate is in use");
                    }
                }
                // Renewing writes one file after the other, so the two may not fit for a moment.
                Err(error) if error.to_string() != told => {
                    told = error.to_string();
                    tracing::warn!(%error, "the certificate cannot be read again; the last one stays in use");
                }
                Err(_) => {}
            }
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let text = |file: &PathBuf| fs::read(file).map_err(|source| TlsError::Read { file: file.clone(), source });
    let not_pem = |file: &PathBuf, error: &pem::Error| TlsError::NotPem { file: file.clone(), why: error.to_string() };
    let wrong = |file: &PathBuf, wanted| TlsError::Wrong { file: file.clone(), wanted };

    let chain = CertificateDer::pem_slice_iter(&text(&files.certificate)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| not_pem(&files.certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, "certificate: it should begin with -----BEGIN CERTIFICATE-----"));
    }
    let bytes = zeroize::Zeroizing::new(text(&files.key)?);
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            wrong(&files.key, "private key without a passphrase: it should begin with -----BEGIN PRIVATE KEY-----")
        }
        error => not_pem(&files.key, &error),
    })?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|why| TlsError::Mismatch {
        key: files.key.clone(),
        certificate: files.certificate.clone(),
        why,
    })
}
