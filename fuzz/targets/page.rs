//! Pages of customers: taken whole or refused whole, and read the same every time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use optimove::wire::Page;

fuzz_target!(|body: &[u8]| {
    let Ok(page) = Page::parse(body.to_vec()) else {
        return;
    };
    let mut seen = 0;
    let rows = page
        .for_each(|row| {
            seen += 1;
            // A row that is kept says what the borrowed one said.
            assert_eq!(row.clone().into_owned(), row);
        })
        .expect("a page that was taken can be read");
    assert_eq!((rows, seen), (page.len(), page.len()));
    // Cut anywhere, it is no page: a cut answer must never pass for a short list.
    if !page.is_empty() {
        let end = body.iter().rposition(|byte| *byte == b']');
        let cut = end.map(|end| body[..end].to_vec());
        assert!(cut.is_none_or(|cut| Page::parse(cut).is_err()));
    }
});
