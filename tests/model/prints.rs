//! Fingerprints: 128 bits that stand for a value, and tables of what occurs. Knows nothing of what is modelled.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;

use crate::world::Index;

/// 128 bits of a value. Two values that share them are taken for one; with ten million states
/// that happens once in 10^24 explorations.
pub(crate) fn fingerprint(value: &impl Hash) -> u128 {
    let mut mixer = Mixer::default();
    value.hash(&mut mixer);
    let (one, two) = mixer.finished();
    u128::from(one) << 64 | u128::from(two)
}

/// Fingerprints.
pub(crate) type Prints = HashSet<u128, BuildHasherDefault<AsItIs>>;

/// What was computed once, by what it was computed from.
pub(crate) type Memo<K, V> = HashMap<K, V, BuildHasherDefault<Mixer>>;

/// Every value that occurs, once.
pub(crate) struct Table<T> {
    index: HashMap<u128, Index, BuildHasherDefault<AsItIs>>,
    all: Vec<Rc<T>>,
}

impl<T: Hash + Eq> Table<T> {
    pub(crate) fn new() -> Self {
        Table {
            index: HashMap::default(),
            all: Vec::new(),
        }
    }

    pub(crate) fn keep(&mut self, value: T) -> Index {
        let next = Index::try_from(self.all.len()).expect("fits");
        let index = *self.index.entry(fingerprint(&value)).or_insert(next);
        if index == next {
            self.all.push(Rc::new(value));
        } else {
            assert!(*self.at(index) == value, "two values have one fingerprint");
        }
        index
    }

    pub(crate) fn get(&self, index: Index) -> Rc<T> {
        Rc::clone(&self.all[index as usize])
    }

    pub(crate) fn at(&self, index: Index) -> &T {
        &self.all[index as usize]
    }
}

/// Two independent 64-bit hashes in one go; many times as fast as SipHash twice. What is small is
/// packed into words: most fields of a state are bytes.
pub(crate) struct Mixer {
    one: u64,
    two: u64,
    word: u64,
    /// How many bits of `word` are taken.
    taken: u32,
}

impl Default for Mixer {
    fn default() -> Self {
        Mixer {
            one: 0x9e37_79b9_7f4a_7c15,
            two: 0xc2b2_ae3d_27d4_eb4f,
            word: 0,
            taken: 0,
        }
    }
}

impl Mixer {
    #[inline]
    fn put(&mut self, value: u64, bits: u32) {
        if self.taken + bits > u64::BITS {
            (self.one, self.two) = self.mixed();
            (self.word, self.taken) = (0, 0);
        }
        self.word |= value << self.taken;
        self.taken += bits;
    }

    #[inline]
    fn mixed(&self) -> (u64, u64) {
        (
            scrambled(self.one.rotate_left(29) ^ self.word),
            (self.two ^ self.word)
                .wrapping_mul(0xff51_afd7_ed55_8ccd)
                .rotate_left(31)
                .wrapping_mul(0xc4ce_b9fe_1a85_ec53),
        )
    }

    fn finished(&self) -> (u64, u64) {
        let (one, two) = self.mixed();
        (scrambled(one), scrambled(two))
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let bits = if chunk.len() == 8 {
                u64::BITS
            } else {
                chunk.iter().fold(0, |bits, _| bits + u8::BITS)
            };
            self.put(u64::from_le_bytes(word), bits);
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.put(value.into(), u8::BITS);
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.put(value.into(), u16::BITS);
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.put(value.into(), u32::BITS);
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.put(value, u64::BITS);
    }

    /// The lengths of what is hashed: almost always small.
    #[inline]
    fn write_usize(&mut self, value: usize) {
        match u8::try_from(value) {
            Ok(small) if small < u8::MAX => self.write_u8(small),
            _ => {
                self.write_u8(u8::MAX);
                self.write_u64(value as u64);
            }
        }
    }

    /// Which variant of an enum.
    #[inline]
    fn write_isize(&mut self, value: isize) {
        self.write_usize(value.cast_unsigned());
    }

    fn finish(&self) -> u64 {
        self.finished().0
    }
}

/// The finalizer of splitmix64.
#[inline]
fn scrambled(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// For keys that are fingerprints already.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = u64::try_from(value >> 64).unwrap_or_default();
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
