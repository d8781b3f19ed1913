//! The committed seeds: an archive per file of targets, unpacked to where bolero looks for a corpus.

use std::{fs, path::Path, process::Command, sync::Once};

/// Unpacks all archives, once per process. Seeds that `make fuzz` has found since stay beside them.
pub(crate) fn unpack() {
    static UNPACKED: Once = Once::new();
    UNPACKED.call_once(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("parsers/__fuzz__");
        fs::create_dir_all(&folder).unwrap();
        for archive in fs::read_dir(root.join("seeds")).unwrap() {
            let archive = archive.unwrap().path();
            let status = Command::new("tar")
                .arg("-xzf")
                .arg(&archive)
                .arg("-C")
                .arg(&folder)
                .status();
            assert!(
                status.unwrap().success(),
                "could not unpack {}",
                archive.display()
            );
        }
    });
}
