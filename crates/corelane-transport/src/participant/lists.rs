//! Which answer of an exchange belongs to which question for what there is. Pure: it sends nothing.
//!
//! An exchange answers in the order of the questions. One that dies leaves questions open, which
//! are asked again of the next one; what was answered already is not.

use std::collections::{BTreeMap, VecDeque};

use crate::exchange::Listed;

/// Number of a question.
pub(super) type Question = u64;

/// Questions and their answers.
#[derive(Debug, Default)]
pub(super) struct Lists {
    next: Question,
    /// Asked of the exchange that there is, and not answered yet.
    open: VecDeque<Question>,
    /// Of the answer that is coming.
    names: Vec<Listed>,
    /// Questions that somebody waits for, each with its answer once that is there.
    wanted: BTreeMap<Question, Option<Vec<Listed>>>,
}

impl Lists {
    /// Somebody wants to know. Tell with [`asked`](Self::asked) when it was asked.
    pub(super) fn want(&mut self) -> Question {
        self.next += 1;
        self.wanted.insert(self.next, None);
        self.next
    }

    /// The question was sent to the exchange that there is.
    pub(super) fn asked(&mut self, question: Question) {
        self.open.push_back(question);
    }

    /// There is another exchange, which heard no question: those to be asked, in this order.
    pub(super) fn ask_again(&mut self) -> Vec<Question> {
        self.open.clear();
        self.names.clear();
        let open = self.wanted.iter().filter(|(_, answer)| answer.is_none());
        open.map(|(&question, _)| question).collect()
    }

    /// A part of an answer came.
    pub(super) fn heard(&mut self, listed: Listed) {
        // Without a question it is no answer.
        if !self.open.is_empty() {
            self.names.push(listed);
        }
    }

    /// An answer is whole.
    pub(super) fn heard_all(&mut self) {
        let names = std::mem::take(&mut self.names);
        let question = self.open.pop_front();
        if let Some(answer) = question.and_then(|question| self.wanted.get_mut(&question)) {
            *answer = Some(names);
        }
    }

    /// Whether the answer is there.
    pub(super) fn is_answered(&self, question: Question) -> bool {
        self.wanted.get(&question).is_some_and(Option::is_some)
    }

    /// Gives the answer, if it is there, and forgets the question: nobody waits any more.
    pub(super) fn take(&mut self, question: Question) -> Option<Vec<Listed>> {
        self.wanted.remove(&question)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str) -> Listed {
        Listed { name: name.into(), is_lane: false, sources: 1, sinks: 0, taps: 0, tag: None }
    }

    fn ask(lists: &mut Lists) -> Question {
        let question = lists.want();
        lists.asked(question);
        question
    }

    fn answer(lists: &mut Lists, names: &[&str]) {
        names.iter().for_each(|name| lists.heard(listed(name)));
        lists.heard_all();
    }

    fn names(answer: Option<Vec<Listed>>) -> Vec<String> {
        let answer = answer.expect("because it was answered");
        answer.into_iter().map(|listed| listed.name).collect()
    }

    #[test]
    fn an_answer_that_came_before_its_exchange_died_is_kept_and_not_asked_for_again() {
        let mut lists = Lists::default();
        let first = ask(&mut lists);
        answer(&mut lists, &["a", "b"]);
        // Whoever asked was not fast enough to take it.
        assert_eq!(lists.ask_again(), [0; 0]);
        assert_eq!(names(lists.take(first)), ["a", "b"]);
        // So no second answer comes that would count as one to the next question.
        let second = ask(&mut lists);
        answer(&mut lists, &["c"]);
        assert_eq!(names(lists.take(second)), ["c"]);
    }

    #[test]
    fn half_an_answer_of_a_dead_exchange_is_forgotten_and_the_question_asked_again() {
        let mut lists = Lists::default();
        let first = ask(&mut lists);
        lists.heard(listed("a"));
        // One more while there is no exchange.
        let second = lists.want();
        assert_eq!(lists.ask_again(), [first, second]);
        [first, second].into_iter().for_each(|question| lists.asked(question));
        answer(&mut lists, &["b"]);
        assert!(lists.is_answered(first) && !lists.is_answered(second));
        answer(&mut lists, &["b", "c"]);
        assert_eq!(names(lists.take(first)), ["b"]);
        assert_eq!(names(lists.take(second)), ["b", "c"]);
    }

    #[test]
    fn an_answer_that_nobody_waits_for_any_more_is_not_taken_for_the_next_one() {
        let mut lists = Lists::default();
        let given_up = ask(&mut lists);
        assert_eq!(lists.take(given_up), None);
        let next = ask(&mut lists);
        answer(&mut lists, &["late"]);
        assert!(!lists.is_answered(next));
        answer(&mut lists, &["right"]);
        assert_eq!(names(lists.take(next)), ["right"]);
        // Nor is one that nobody asked for kept.
        answer(&mut lists, &["unasked"]);
        let last = ask(&mut lists);
        answer(&mut lists, &[]);
        assert_eq!(names(lists.take(last)), [""; 0]);
    }
}
