//! The book: one encoding for every book, and no bytes that are a panic or a bomb.

#![allow(clippy::unwrap_used, reason = "tests")]

mod draw;

use draw::{Draw, Kind, fitted};
use kerf_codec::{Bits, Book, BookError, BuiltIn, CodecId, Contexts, Entry, Fitted, LookupError, Per, Spec};
use proptest::prelude::*;
use std::sync::Arc;

fn entry(boundary: u16, name: &str, tensors: Vec<(&str, Spec)>) -> Entry {
    let tensors = tensors.into_iter().map(|(name, spec)| (name.to_owned(), spec)).collect();
    Entry { boundary, name: name.to_owned(), tensors }
}

fn book() -> Book {
    let mut draw = Draw(1);
    let kind = Kind { transform: true, tile: Some((2, 3)), contexts: Some(Contexts::Neighbours) };
    let fine = fitted(&mut draw, 1, 7, 0.1, &kind);
    let mut coarse: Fitted = fine.clone();
    coarse.quantisers.iter_mut().for_each(|quantiser| quantiser.step = 0.7);
    coarse.quantisers[3].offset = 0.1;
    // Equal, and not the same.
    coarse.transform = coarse.transform.as_deref().cloned().map(Arc::new);
    let plain = fitted(&mut draw, 2, 3, 0.3, &Kind { transform: false, tile: None, contexts: None });
    let int = BuiltIn::IntZstd { bits: Bits::B6, per: Per::Axis(3) };
    Book::new(vec![
        entry(7, "k0.8", vec![("b", fine.into()), ("a", int.into())]),
        entry(3, "first", vec![("x", plain.into())]),
        entry(7, "k2", vec![("b", coarse.into()), ("a", BuiltIn::Lossless.into())]),
        entry(9, "none", vec![]),
    ])
    .unwrap()
}

#[test]
fn round_trip() {
    let book = book();
    let bytes = book.encode();
    assert_eq!(Book::decode(&bytes), Ok(book.clone()));
    assert_eq!(Book::decode(&Book::default().encode()), Ok(Book::default()));
    // Two entries share a transform of 224 bytes and leave out an inverse of 196, its transpose.
    assert!(bytes.len() < 1500, "{} bytes", bytes.len());
    for cut in 0..bytes.len() {
        assert!(Book::decode(&bytes[..cut]).is_err(), "cut to {cut}");
    }
    assert_eq!(Book::decode(&[&bytes[..], &[0]].concat()), Err(BookError::Trailing(1)));
    assert_eq!(Book::decode(b"KCB\x02"), Err(BookError::Version));
}

#[test]
fn lookup() {
    let book = book();
    let names: Vec<_> = book.at(7).iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["k0.8", "k2"]);
    let spec = |boundary, id: u16, tensor| book.spec(boundary, CodecId(id), tensor);
    assert_eq!(spec(7, 0x1001, "a"), Ok(BuiltIn::Lossless.into()));
    assert!(matches!(spec(7, 0x1001, "b"), Ok(Spec::Fitted(_))));
    assert_eq!(spec(5, 1, "anything"), Ok(BuiltIn::F16.into()));
    assert_eq!(spec(7, 0x1002, "a"), Err(LookupError::Entry { boundary: 7, index: 2 }));
    assert_eq!(spec(8, 0x1000, "a"), Err(LookupError::Entry { boundary: 8, index: 0 }));
    assert_eq!(spec(7, 0x2000, "a"), Err(LookupError::Unknown(0x2000)));
    assert!(matches!(spec(7, 0x1000, "c"), Err(LookupError::Tensor { .. })));
}

#[test]
fn entries_are_checked() {
    let raw = || Spec::from(BuiltIn::Raw);
    let twice = Err(BookError::Duplicate { boundary: 1, name: "a".into() });
    assert_eq!(Book::new(vec![entry(1, "a", vec![]), entry(1, "a", vec![])]), twice);
    assert_eq!(Book::new(vec![entry(1, "x", vec![("a", raw()), ("a", raw())])]), twice);
    assert!(Book::new(vec![entry(1, "a", vec![]), entry(2, "a", vec![])]).is_ok());
    let many = (0..4097).map(|at| entry(1, &at.to_string(), vec![])).collect();
    assert_eq!(Book::new(many), Err(BookError::TooMany(1)));
    let mut wrong = fitted(&mut Draw(1), 1, 2, 1.0, &Kind { transform: false, tile: None, contexts: None });
    wrong.quantisers[1].step = -1.0;
    assert!(matches!(Book::new(vec![entry(1, "a", vec![("x", wrong.into())])]), Err(BookError::Spec { .. })));
}

#[test]
fn sizes_that_lie() {
    let head = |rest: &[u8]| [b"KCB\x01", rest].concat();
    let most = [0xff, 0xff, 0xff, 0xff, 0x0f];
    // Counts of transforms, entries, tensors, components beyond what is there; a huge transform.
    for bytes in [
        head(&most),
        head(&[&[0], &most[..]].concat()),
        head(&[&[0, 1, 1, 0], &most[..]].concat()),
        head(&[&[0, 1, 1, 0, 1, 0, 1, 1, 4], &most[..]].concat()),
        head(&[1, 0x80, 0x40, 0x80, 0x40, 1]),
        head(&[&[1], &most[..], &most[..]].concat()),
    ] {
        assert!(Book::decode(&bytes).is_err(), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_book_or_an_error(bytes: Vec<u8>, flips: Vec<(u16, u8)>) {
        let _ = Book::decode(&[b"KCB\x01", &bytes[..]].concat());
        let mut damaged = book().encode();
        for (at, to) in flips {
            let at = usize::from(at) % damaged.len();
            damaged[at] ^= to;
        }
        if let Ok(book) = Book::decode(&damaged) {
            prop_assert_eq!(book.encode(), damaged, "two encodings of one book");
        }
    }
}
