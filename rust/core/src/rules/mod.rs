//! One rule family a file.
pub mod adam;
pub mod rmsprop;
