//! The one provider of cryptography for every TLS client of a process.

use std::sync::Once;

/// Makes `ring` the provider. Libraries that bring none of their own need it before their first client.
pub fn use_ring() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only if another provider was installed before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
