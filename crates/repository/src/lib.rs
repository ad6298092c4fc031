//! A model repository on disk
