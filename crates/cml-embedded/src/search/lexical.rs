//! What the words of a query say about every visible turn.

use cml_core::memory::Role;

use super::partition::NONE;
use super::postings::{Posting, idf, saturation};
use super::query::{DatePart, QueryPlan};
use super::statistics::TermFrequency;
use super::view::{Part, View};

/// Word scores of all visible turns, by their number in the view, not normalised.
#[derive(Debug, Default)]
pub(crate) struct Lexical {
    /// BM25 of the turn.
    pub(crate) own: Vec<f32>,
    /// BM25 of the previous turn and the turn as one document.
    pub(crate) context: Vec<f32>,
    /// Which terms of the query the turn holds, one bit each.
    pub(crate) found: Vec<u64>,
    /// Sum over terms of rarity x best match in the turn.
    pub(crate) soft: Vec<f32>,
    /// What BM25 gains from the words of the turn's date; empty if the query has none.
    pub(crate) date: Vec<f32>,
    /// BM25 of sessions, by unit.
    pub(crate) session: Vec<f32>,
    /// BM25 of sessions without their assistant's turns, by unit.
    pub(crate) user_session: Vec<f32>,
    /// Rarity of each term of the query among turns, and their sum.
    pub(crate) idf: Vec<f32>,
    pub(crate) idf_sum: f32,
    /// In how many documents each term of the query occurs.
    pub(crate) frequencies: Vec<TermFrequency>,
    counts: Vec<u16>,
    touched: Vec<u32>,
    unit_counts: Vec<[u32; 2]>,
    touched_units: Vec<u32>,
    stamps: Vec<u8>,
}

impl Lexical {
    /// Scores the turns of `view`; what was here before is overwritten.
    pub(crate) fn fill(&mut self, view: &View<'_>, plan: &QueryPlan) {
        let zeros = |values: &mut Vec<f32>, len: usize| {
            values.clear();
            values.resize(len, 0.0);
        };
        zeros(&mut self.own, view.turns);
        zeros(&mut self.context, view.turns);
        zeros(&mut self.soft, view.turns);
        zeros(&mut self.session, view.unit_slots());
        zeros(&mut self.user_session, view.unit_slots());
        zeros(&mut self.date, 0);
        self.found.clear();
        self.found.resize(view.turns, 0);
        self.counts.clear();
        self.counts.resize(view.turns, 0);
        self.stamps.clear();
        self.stamps.resize(view.turns, 0);
        self.unit_counts.clear();
        self.unit_counts.resize(view.unit_slots(), [0; 2]);
        self.idf.clear();
        self.frequencies.clear();
        for (place, term) in plan.terms.iter().enumerate() {
            let id = view.index.terms.id(&term.stem);
            let lists: Vec<(&Part<'_>, &[Posting])> = id.map_or_else(Vec::new, |id| {
                view.parts.iter().map(|part| (part, part.partition.postings.of(id))).collect()
            });
            let known = view.statistics.map(|known| known.terms.get(place).copied().unwrap_or_default());
            let df: usize = lists.iter().map(|(_, list)| list.len()).sum();
            let counted = TermFrequency { turns: df as f32, ..TermFrequency::default() };
            self.frequencies.push(known.unwrap_or(counted));
            let rarity = term.weight * idf(view.count, self.frequencies[place].turns);
            self.idf.push(rarity);
            self.count_term(view, place, rarity, &lists);
            self.add_contexts(view, rarity);
            if known.is_none() {
                self.count_units(place);
            }
            self.add_sessions(view, place, term.weight);
            self.add_soft(view, place, rarity, &lists, plan);
        }
        self.idf_sum = self.idf.iter().fold(0.0, |sum, idf| sum + idf);
        self.add_dates(view, plan);
    }

    /// Adds a term to its turns, and counts it for contexts and sessions.
    fn count_term(&mut self, view: &View<'_>, place: usize, rarity: f32, lists: &[(&Part<'_>, &[Posting])]) {
        for (part, list) in lists {
            for posting in *list {
                let slot = posting.slot as usize;
                let number = part.first_turn + slot;
                let turn = &part.partition.turns[slot];
                let length = part.partition.lengths[slot] as f32;
                self.own[number] += rarity * saturation(f32::from(posting.count), length, view.mean_length);
                self.found[number] |= 1 << place;
                for number in [Some(number), view.number(turn.next)].into_iter().flatten() {
                    if self.counts[number] == 0 {
                        self.touched.push(number as u32);
                    }
                    self.counts[number] = self.counts[number].saturating_add(posting.count);
                }
                let unit = view.unit(turn.session, number);
                let counts = &mut self.unit_counts[unit];
                if counts[0] == 0 {
                    self.touched_units.push(unit as u32);
                }
                counts[0] += u32::from(posting.count);
                if turn.role != Some(Role::Assistant) {
                    counts[1] += u32::from(posting.count);
                }
            }
        }
    }

    fn add_contexts(&mut self, view: &View<'_>, rarity: f32) {
        for number in self.touched.drain(..).map(|number| number as usize) {
            let length = length(view, number) + view.prev(number).map_or(0.0, |prev| length(view, prev));
            let count = std::mem::take(&mut self.counts[number]);
            self.context[number] += rarity * saturation(f32::from(count), length, view.mean_context);
        }
    }

    /// Counts the sessions that a term occurs in.
    fn count_units(&mut self, place: usize) {
        let users = self.touched_units.iter().filter(|&&unit| self.unit_counts[unit as usize][1] > 0).count();
        let frequency = &mut self.frequencies[place];
        (frequency.units, frequency.user_units) = (self.touched_units.len() as f32, users as f32);
    }

    /// Adds a term to the sessions it occurs in, with its rarity among sessions.
    fn add_sessions(&mut self, view: &View<'_>, place: usize, weight: f32) {
        let frequency = self.frequencies[place];
        let rarity = weight * idf(view.units, frequency.units);
        let user_rarity = weight * idf(view.units, frequency.user_units);
        let sessions = view.index.sessions.len();
        for unit in self.touched_units.drain(..).map(|unit| unit as usize) {
            let [count, user_count] = std::mem::take(&mut self.unit_counts[unit]);
            let (terms, user_terms) = if unit < sessions {
                view.session_terms(unit as u32)
            } else {
                let number = unit - sessions;
                let length = length(view, number);
                let assistant = view.turn(number).role == Some(Role::Assistant);
                (length, if assistant { 0.0 } else { length })
            };
            self.session[unit] += rarity * saturation(count as f32, terms, view.mean_session);
            if user_count > 0 {
                self.user_session[unit] +=
                    user_rarity * saturation(user_count as f32, user_terms, view.mean_user_session);
            }
        }
    }

    fn add_soft(
        &mut self,
        view: &View<'_>,
        place: usize,
        rarity: f32,
        lists: &[(&Part<'_>, &[Posting])],
        plan: &QueryPlan,
    ) {
        // Neighbours come closest first, so that the first match of a turn is its best.
        let stamp = place as u8 + 1;
        for (part, list) in lists {
            for posting in *list {
                let number = part.first_turn + posting.slot as usize;
                self.soft[number] += rarity;
                self.stamps[number] = stamp;
            }
        }
        for neighbour in plan.terms[place].neighbours.iter() {
            let Some(id) = view.index.terms.id(&neighbour.stem) else {
                continue;
            };
            for part in &view.parts {
                for posting in part.partition.postings.of(id) {
                    let number = part.first_turn + posting.slot as usize;
                    if self.stamps[number] != stamp {
                        self.stamps[number] = stamp;
                        self.soft[number] += rarity * neighbour.similarity;
                    }
                }
            }
        }
    }

    /// The gain from adding a day, a month and a year to every turn.
    fn add_dates(&mut self, view: &View<'_>, plan: &QueryPlan) {
        for (place, term) in plan.terms.iter().enumerate() {
            let Some(date) = term.date else {
                continue;
            };
            self.date.resize(view.turns, 0.0);
            let bit = 1 << place;
            if view.statistics.is_none() {
                let mut df = 0_usize;
                view.for_each_turn(|number, _, _, turn| {
                    df += usize::from(date.is_of(turn.date) || self.found[number] & bit != 0);
                });
                self.frequencies[place].dated = df as f32;
            }
            let rarity = idf(view.count, self.frequencies[place].dated);
            view.for_each_turn(|number, part, slot, turn| {
                if date.is_of(turn.date) {
                    let before = if self.found[number] & bit == 0 { 0.0 } else { 1.0 };
                    let length = part.partition.lengths[slot] as f32;
                    let with = saturation(before + 1.0, length + DATE_WORDS, view.mean_length + DATE_WORDS);
                    self.date[number] += rarity * (with - saturation(before, length, view.mean_length));
                }
            });
        }
    }
}

impl DatePart {
    fn is_of(self, date: super::partition::Date) -> bool {
        match self {
            Self::Day(day) => date.day == day,
            Self::Month(month) => date.month == month,
            Self::Year(year) => date.year == year,
        }
    }
}

/// Day, month and year.
const DATE_WORDS: f32 = 3.0;

fn length(view: &View<'_>, number: usize) -> f32 {
    let (part, slot) = view.part(number);
    part.partition.lengths[slot] as f32
}

const _: () = assert!(super::query::MAX_TERMS <= u64::BITS as usize && NONE == u32::MAX);
