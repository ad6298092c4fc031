use kerf_identity::{Identity, IdentityError, Paths, Role};
use kerf_settings::IdentityFiles;

/// Opens the certificates that the settings name; they must be those of a node in `role`.
pub fn open_identity(files: &IdentityFiles, role: Role) -> Result<Identity, IdentityError> {
    let identity = Identity::load(&Paths {
        ca: files.ca.clone(),
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    })?;
    identity.require(role)?;
    Ok(identity)
}
