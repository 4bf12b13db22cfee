//! The vendor's tool: demo, dev, emulator, doctor.
