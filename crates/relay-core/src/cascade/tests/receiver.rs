//! What of a stream is new: links that take turns, gaps, epochs, closing records.

use proptest::prelude::*;

use super::super::{GroupHeader, Receiver, SealVerdict, TagVerdict, Verdict};
use super::example;
use crate::stream::{GroupSeal, Position};

fn header(epoch: u64, number: u64, first_tag: u32) -> GroupHeader {
    let (mut header, ..) = example();
    header.head.epoch = epoch;
    header.head.number = number;
    header.first_tag = first_tag;
    header
}

fn continued(epoch: u64, number: u64) -> GroupHeader {
    let mut header = header(epoch, number, 0);
    header.head.continuation = true;
    header
}

const fn at(epoch: u64, group: u64, tags: u32) -> Position {
    Position { epoch, group, tags }
}

const fn seal(count: u32) -> GroupSeal {
    GroupSeal { count, hash: [0; 32] }
}

const fn append(begin: bool, skipped: bool) -> Result<TagVerdict, super::super::Gap> {
    Ok(TagVerdict::Append { begin, skipped })
}

#[test]
fn a_whole_group_and_the_next_leave_nothing_out() {
    let mut receiver = Receiver::new(None);
    let (first, second) = (header(1, 1, 0), header(1, 2, 0));
    assert_eq!(receiver.handle_group(&first), Ok(Verdict::Take));
    assert_eq!(receiver.handle_tag(&first, 0), append(true, false));
    assert_eq!(receiver.handle_tag(&first, 1), append(false, false));
    assert_eq!(receiver.handle_seal(&first, &seal(2)), SealVerdict::Compare);
    assert_eq!(receiver.handle_group(&second), Ok(Verdict::Take));
    assert_eq!(receiver.handle_tag(&second, 0), append(true, false));
    assert_eq!(receiver.held(), Some(at(1, 2, 1)));
}

#[test]
fn a_group_left_unfinished_or_out_is_a_skip() {
    let mut receiver = Receiver::new(Some(at(1, 1, 2)));
    assert_eq!(
        receiver.handle_tag(&header(1, 2, 0), 0),
        append(true, true),
        "unfinished"
    );
    assert_eq!(
        receiver.handle_seal(&header(1, 2, 0), &seal(1)),
        SealVerdict::Compare
    );
    assert_eq!(
        receiver.handle_tag(&header(1, 4, 0), 0),
        append(true, true),
        "left out"
    );
}

#[test]
fn a_new_epoch_follows_a_whole_group_without_a_skip() {
    let mut receiver = Receiver::new(Some(at(1, 7, 3)));
    assert_eq!(
        receiver.handle_seal(&header(1, 7, 0), &seal(3)),
        SealVerdict::Compare
    );
    assert_eq!(receiver.handle_tag(&header(2, 1, 0), 0), append(true, false));
    assert_eq!(
        receiver.handle_tag(&header(3, 1, 0), 0),
        append(true, true),
        "not whole"
    );
}

#[test]
fn a_group_goes_on_in_its_middle_and_gives_nothing_twice() {
    let mut receiver = Receiver::new(Some(at(1, 1, 5)));
    assert_eq!(receiver.handle_group(&header(1, 1, 3)), Ok(Verdict::Take));
    assert_eq!(receiver.handle_tag(&header(1, 1, 3), 3), Ok(TagVerdict::Held));
    assert_eq!(receiver.handle_tag(&header(1, 1, 3), 4), Ok(TagVerdict::Held));
    assert_eq!(receiver.handle_tag(&header(1, 1, 3), 5), append(false, false));
}

#[test]
fn gaps_are_refused() {
    let mut receiver = Receiver::new(Some(at(1, 1, 5)));
    for bad in [header(1, 1, 6), header(1, 2, 1), continued(1, 2), header(2, 1, 1)] {
        let gap = receiver.handle_group(&bad).unwrap_err();
        assert_eq!((gap.at, gap.held), (bad.position(), Some(at(1, 1, 5))));
        assert!(receiver.handle_tag(&bad, bad.first_tag).is_err());
    }
    assert!(receiver.handle_tag(&header(1, 1, 5), 6).is_err());
    assert!(Receiver::new(None).handle_group(&header(1, 1, 1)).is_err());
    assert!(Receiver::new(None).handle_group(&continued(1, 1)).is_err());
    assert_eq!(receiver.held(), Some(at(1, 1, 5)), "nothing was taken");
}

#[test]
fn a_continuation_follows_a_whole_group_only() {
    let mut receiver = Receiver::new(Some(at(1, 1, 5)));
    receiver.handle_seal(&header(1, 1, 0), &seal(5));
    assert!(receiver.handle_group(&continued(1, 3)).is_err());
    assert_eq!(receiver.handle_group(&continued(1, 2)), Ok(Verdict::Take));
    assert_eq!(receiver.handle_tag(&continued(1, 2), 0), append(true, false));
}

#[test]
fn what_is_older_is_refused() {
    let mut receiver = Receiver::new(Some(at(2, 5, 1)));
    assert_eq!(receiver.handle_group(&header(1, 9, 0)), Ok(Verdict::Stale));
    assert_eq!(receiver.handle_group(&header(2, 4, 0)), Ok(Verdict::Held));
    assert_eq!(receiver.handle_tag(&header(1, 9, 0), 0), Ok(TagVerdict::Held));
    assert_eq!(receiver.handle_tag(&header(2, 4, 0), 9), Ok(TagVerdict::Held));
}

#[test]
fn a_closing_record_is_compared_where_the_log_stands_at_it() {
    let mut receiver = Receiver::new(Some(at(1, 5, 3)));
    assert_eq!(
        receiver.handle_seal(&header(1, 5, 0), &seal(2)),
        SealVerdict::Beyond
    );
    assert_eq!(
        receiver.handle_seal(&header(1, 4, 0), &seal(3)),
        SealVerdict::Beyond
    );
    assert_eq!(
        receiver.handle_seal(&header(1, 5, 0), &seal(3)),
        SealVerdict::Compare
    );
    assert_eq!(
        receiver.handle_seal(&header(1, 6, 0), &seal(0)),
        SealVerdict::Begin
    );
    assert_eq!(receiver.held(), Some(at(1, 6, 0)));
    assert_eq!(
        Receiver::new(None).handle_seal(&header(1, 1, 0), &seal(0)),
        SealVerdict::Begin
    );
}

#[test]
fn a_tag_that_the_log_refused_is_asked_for_again() {
    let mut receiver = Receiver::new(Some(at(1, 1, 5)));
    let before = receiver.held();
    assert_eq!(receiver.handle_tag(&header(1, 1, 5), 5), append(false, false));
    receiver.undo(before);
    assert_eq!(receiver.handle_tag(&header(1, 1, 5), 5), append(false, false));
}

/// A link on its way through the same groups, from its own start on.
struct Link {
    group: u64,
    next: u32,
}

/// Tags in group `number` of the stream that all links bring.
const fn tags_in(number: u64) -> u32 {
    1 + (number % 4) as u32
}

const GROUPS: u64 = 12;

impl Link {
    /// Brings its next tag, and the closing record behind the last; what was appended goes to `log`.
    fn step(&mut self, receiver: &mut Receiver, log: &mut Vec<(u64, u32)>) {
        if self.group > GROUPS {
            return;
        }
        let header = header(1, self.group, 0);
        match receiver.handle_tag(&header, self.next).unwrap() {
            TagVerdict::Append { begin, skipped } => {
                assert_eq!(begin, self.next == 0);
                assert!(!skipped, "nothing is left out at {}/{}", self.group, self.next);
                log.push((self.group, self.next));
            }
            TagVerdict::Held => assert!(log.contains(&(self.group, self.next))),
        }
        self.next += 1;
        if self.next == tags_in(self.group) {
            receiver.handle_seal(&header, &seal(self.next));
            (self.group, self.next) = (self.group + 1, 0);
        }
    }
}

proptest! {
    /// Two links bring the same stream, and take turns at any tag: each tag comes once, in order.
    #[test]
    fn two_links_give_each_tag_once(turns in prop::collection::vec(any::<bool>(), 0..200)) {
        let mut receiver = Receiver::new(None);
        let mut links = [Link { group: 1, next: 0 }, Link { group: 1, next: 0 }];
        let mut log = Vec::new();
        let rest = std::iter::repeat_n(true, 60);
        for second in turns.into_iter().chain(rest) {
            links[usize::from(second)].step(&mut receiver, &mut log);
        }
        let all: Vec<_> = (1..=GROUPS).flat_map(|group| (0..tags_in(group)).map(move |tag| (group, tag))).collect();
        prop_assert_eq!(log, all);
    }

    /// A second link goes on anywhere at or before what is held, and takes over.
    #[test]
    fn a_second_link_takes_over(cut in 1usize..30, back in 0u32..4) {
        let mut receiver = Receiver::new(None);
        let mut log = Vec::new();
        let mut first = Link { group: 1, next: 0 };
        for _ in 0..cut {
            first.step(&mut receiver, &mut log);
        }
        let held = receiver.held().unwrap();
        let start = header(1, held.group, held.tags.saturating_sub(back));
        prop_assert_eq!(receiver.handle_group(&start), Ok(Verdict::Take));
        let mut second = Link { group: held.group, next: start.first_tag };
        if second.next == tags_in(held.group) {
            receiver.handle_seal(&start, &seal(second.next));
            second = Link { group: held.group + 1, next: 0 };
        }
        for _ in 0..60 {
            second.step(&mut receiver, &mut log);
        }
        let all: Vec<_> = (1..=GROUPS).flat_map(|group| (0..tags_in(group)).map(move |tag| (group, tag))).collect();
        prop_assert_eq!(log, all);
    }
}
