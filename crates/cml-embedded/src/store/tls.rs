//! What encrypted connections need of the process.

/// Installs the ring provider unless the process has a provider already: the choice is its owner's.
pub(crate) fn install_ring() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster; then there is one.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}
