//! Whether an answer says the same as that of the whole model.
