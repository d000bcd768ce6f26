//! confusion
