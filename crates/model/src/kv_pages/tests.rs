use super::*;

fn push(kv: &mut KvPages, id: SeqId, n: u32) -> Vec<Edit> {
    let edits = kv.reserve(id, n).unwrap();
    kv.commit(id, n);
    edits
}

#[test]
fn fill_never_exceeds_capacity() {
    let mut kv = KvPages::new(4, 70, 1, 0, false);
    let id = kv.open().unwrap();
    push(&mut kv, id, 69);
    assert_eq!(kv.batch(id, 10), 1);
    push(&mut kv, id, 1);
    assert_eq!(kv.batch(id, 10), 0);
    assert_eq!(kv.reserve(id, 1), Err(Full::Sequence { capacity: 70 }));
    assert_eq!((kv.length(id), kv.used_pages()), (70, 3));
}

#[test]
fn a_shared_page_is_copied_before_it_is_written() {
    let mut kv = KvPages::new(8, 128, 2, 0, false);
    let (a, b) = (kv.open().unwrap(), kv.open().unwrap());
    push(&mut kv, a, 40);
    assert_eq!(kv.share(a, b, 36).len(), 2);
    assert_eq!(kv.used_pages(), 2);
    let (old, edits) = (kv.page(a, 1).unwrap(), push(&mut kv, b, 1));
    let new = kv.page(b, 1).unwrap();
    assert_eq!(
        edits,
        [
            Edit::Table {
                index: kv.table_base(b) + 1,
                page: new
            },
            Edit::CopyPage { from: old, to: new }
        ]
    );
    assert_eq!(push(&mut kv, a, 1), [], "the other owner is alone now");
    kv.close(a);
    assert_eq!(kv.page(b, 0), Some(0));
    kv.close(b);
    assert_eq!(kv.used_pages(), 0);
}

#[test]
fn rewinding_gives_pages_back() {
    let mut kv = KvPages::new(8, 128, 1, 0, false);
    let id = kv.open().unwrap();
    push(&mut kv, id, 100);
    kv.rewind(id, 33);
    assert_eq!((kv.length(id), kv.used_pages()), (33, 2));
    kv.rewind(id, 32);
    kv.rewind(id, 0);
    assert_eq!(kv.used_pages(), 0);
}

#[test]
fn a_ring_recycles_the_oldest_page_after_the_sinks() {
    let mut kv = KvPages::new(4, 4 * PAGE, 1, 1, true);
    let id = kv.open().unwrap();
    push(&mut kv, id, 4 * PAGE);
    let pages: Vec<_> = (0..4).map(|i| kv.page(id, i).unwrap()).collect();
    assert_eq!(kv.batch(id, 100), PAGE);
    assert_eq!(push(&mut kv, id, 5), [], "page 4 takes the place of page 1");
    assert_eq!(kv.batch(id, 100), PAGE - 5);
    assert_eq!(
        (0..4).map(|i| kv.page(id, i).unwrap()).collect::<Vec<_>>(),
        pages
    );
    assert!(kv.can_rewind(id, 4 * PAGE + 1));
    assert!(!kv.can_rewind(id, 4 * PAGE), "page 1 is gone");
    kv.rewind(id, 4 * PAGE + 1);
    assert_eq!(kv.length(id), 4 * PAGE + 1);
}

#[test]
fn held_slots_are_those_a_next_token_can_see() {
    let mut kv = KvPages::new(4, 4 * PAGE, 1, 1, true);
    let id = kv.open().unwrap();
    push(&mut kv, id, 3 * PAGE + 7);
    assert_eq!(kv.held_slots(), [PAGE, PAGE, PAGE, 7]);
    push(&mut kv, id, PAGE - 7);
    push(&mut kv, id, 5);
    assert_eq!(kv.held_slots(), [PAGE, 5, PAGE, PAGE]);
}

#[test]
fn a_reservation_that_fails_takes_no_page() {
    let mut kv = KvPages::new(3, 128, 2, 0, false);
    let (a, b) = (kv.open().unwrap(), kv.open().unwrap());
    push(&mut kv, a, 64);
    assert_eq!(kv.reserve(b, 40), Err(Full::Pool { pages: 3 }));
    assert_eq!((kv.used_pages(), kv.page(b, 0)), (2, None));
    kv.close(a);
    assert_eq!(kv.reserve(b, 40).unwrap().len(), 2, "both entries are told");
}

#[test]
fn a_full_pool_is_an_error_and_loses_nothing() {
    let mut kv = KvPages::new(2, 128, 2, 0, false);
    let (a, b) = (kv.open().unwrap(), kv.open().unwrap());
    assert_eq!(kv.open(), Err(Full::Sequences { sequences: 2 }));
    push(&mut kv, a, 64);
    assert_eq!(kv.reserve(b, 1), Err(Full::Pool { pages: 2 }));
    assert_eq!(kv.length(a), 64);
}
