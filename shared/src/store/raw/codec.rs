//! zstd with contexts that are made once per thread. A new context costs more than a small record.

use std::{cell::RefCell, io};

use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::{CParameter, compress_bound, get_frame_content_size},
};

use super::dictionaries::Dictionary;

/// A larger buffer is given back after use, because one giant must not cost every thread its size for ever.
const KEPT_BUFFER_BYTES: usize = 256 << 10;

thread_local! {
    static PACKING: RefCell<io::Result<Packing>> = RefCell::new(Packing::new());
    static UNPACKING: RefCell<Decompressor<'static>> = RefCell::default();
}

struct Packing {
    compressor: Compressor<'static>,
    buffer: Vec<u8>,
}

/// The dictionary's number, and the frame.
pub(super) fn compress(dictionary: &'static Dictionary, raw: &[u8]) -> io::Result<Vec<u8>> {
    PACKING.with_borrow_mut(|packing| match packing {
        Ok(packing) => packing.compress(dictionary, raw),
        Err(error) => Err(io::Error::other(error.to_string())),
    })
}

/// The content of a frame that states `bytes` bytes of it, which zstd checks.
pub(super) fn decompress(
    dictionary: &'static Dictionary,
    frame: &[u8],
    bytes: usize,
) -> io::Result<Vec<u8>> {
    let mut raw = Vec::with_capacity(bytes);
    UNPACKING.with_borrow_mut(|decompressor| {
        decompressor.set_prepared_dictionary(&dictionary.decoder)?;
        // The output goes into the capacity of the vector, which never grows.
        decompressor.decompress_to_buffer(frame, &mut raw)
    })?;
    Ok(raw)
}

/// The size that the frame's header states.
pub(super) fn content_size(frame: &[u8]) -> io::Result<u64> {
    match get_frame_content_size(frame) {
        Ok(Some(size)) => Ok(size),
        Ok(None) => Err(io::Error::other("the frame does not state its size")),
        Err(_) => Err(io::Error::other("the frame has no readable header")),
    }
}

impl Packing {
    fn new() -> io::Result<Self> {
        let mut compressor = Compressor::default();
        // The format names the dictionary, and Postgres has checksums: eight bytes less per record.
        compressor.set_parameter(CParameter::DictIdFlag(false))?;
        compressor.set_parameter(CParameter::ChecksumFlag(false))?;
        Ok(Self {
            compressor,
            buffer: Vec::new(),
        })
    }

    fn compress(&mut self, dictionary: &'static Dictionary, raw: &[u8]) -> io::Result<Vec<u8>> {
        self.compressor
            .set_prepared_dictionary(&dictionary.encoder)?;
        let bound = compress_bound(raw.len());
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        let written = self
            .compressor
            .compress_to_buffer(raw, &mut self.buffer[..])?;
        // A copy of the exact size, because a statement keeps thousands of records at once.
        let packed = [&[dictionary.number], &self.buffer[..written]].concat();
        if self.buffer.len() > KEPT_BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        Ok(packed)
    }
}
