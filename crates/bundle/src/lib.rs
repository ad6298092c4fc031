//! The model repository: cards, boundaries and manifests of digests
