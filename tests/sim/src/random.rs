//! Randomness that is a function of a seed and of what it is asked for.
//!
//! Each question has its own stream, so that taking one fault out of a run leaves the dice of all others as they were.

/// A stream of numbers: `SplitMix64`.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(hash(seed, stream, 0))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `end`, which is above zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Both ends included.
    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[index(self.next(), of.len())]
    }
}

/// A number for the `n`-th question of a stream.
pub(crate) fn hash(seed: u64, stream: u64, n: u64) -> u64 {
    mix(mix(mix(seed ^ 0x746f_6c6c_6761_7465).wrapping_add(stream)).wrapping_add(n))
}

/// Any number to an index below `len`.
pub(crate) fn index(number: u64, len: usize) -> usize {
    usize::try_from(number % (len.max(1) as u64)).unwrap_or(0)
}

/// A number for a change between two words.
pub(crate) fn index_of(from: &str, to: &str) -> u64 {
    let word = |text: &str| text.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    word(from).wrapping_mul(1_009).wrapping_add(word(to))
}

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
