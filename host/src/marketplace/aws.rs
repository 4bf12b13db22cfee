//! The AWS side of [`Marketplace`](super::Marketplace).
