//! The committed seeds: an archive per target, unpacked to where bolero looks for a corpus.

use std::{fs, path::Path, process::Command, sync::Once};

/// Unpacks all archives, once per process. Seeds that `make fuzz` has found since stay beside them.
pub(crate) fn unpack() {
    static UNPACKED: Once = Once::new();
    UNPACKED.call_once(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for archive in fs::read_dir(root.join("seeds")).unwrap() {
            let archive = archive.unwrap().path();
            let name = archive.file_name().unwrap().to_str().unwrap();
            let target = name.strip_suffix(".tar.gz").unwrap();
            unpack_one(
                &archive,
                &root.join("parsers/__fuzz__").join(target).join("corpus"),
            );
        }
    });
}

fn unpack_one(archive: &Path, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(folder)
        .status();
    assert!(
        status.unwrap().success(),
        "could not unpack {}",
        archive.display()
    );
}
