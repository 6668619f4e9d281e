//! Sentences and questions, the same in every run.

/// Who, what, which thing, where, when: about seven million sentences.
const PARTS: [&[&str]; 5] = [
    &[
        "Ana",
        "Ben",
        "Carla",
        "Dmitri",
        "Elena",
        "Farid",
        "Greta",
        "Hugo",
        "Ines",
        "Jonas",
        "Kira",
        "Luis",
        "Mara",
        "Nils",
        "Olga",
        "Pedro",
        "Rosa",
        "Sven",
        "Tara",
        "Umar",
        "Vera",
        "Walid",
        "Xenia",
        "Yusuf",
        "my sister",
        "my neighbour",
        "the landlord",
        "the new colleague",
    ],
    &[
        "repaired",
        "ordered",
        "painted",
        "lent me",
        "returned",
        "sold",
        "found",
        "measured",
        "cleaned",
        "replaced",
        "photographed",
        "packed",
        "inspected",
        "borrowed",
        "carried",
        "wrapped",
        "planned",
        "designed",
        "labelled",
        "insured",
    ],
    &[
        "the red bicycle",
        "a wooden ladder",
        "the coffee machine",
        "two garden chairs",
        "the old radio",
        "a box of records",
        "the blue tent",
        "the kitchen lamp",
        "a set of brushes",
        "the printer",
        "the spare tyre",
        "a map of the coast",
        "the piano",
        "three winter coats",
        "the aquarium",
        "a telescope",
        "the sewing machine",
        "the front door lock",
        "a pair of skis",
        "the water heater",
        "the bookshelf",
        "a crate of apples",
        "the quarterly report",
        "the budget draft",
    ],
    &[
        "in Lisbon",
        "at the office",
        "in the cellar",
        "near the harbour",
        "at the market",
        "in the attic",
        "behind the school",
        "at the station",
        "in Berlin",
        "by the river",
        "at the workshop",
        "in the garden",
        "on the third floor",
        "at the clinic",
        "in Porto",
        "next to the bakery",
        "at the library",
        "in the garage",
        "on platform nine",
        "at the town hall",
    ],
    &[
        "yesterday",
        "last Friday",
        "on Monday morning",
        "in March",
        "before the meeting",
        "after lunch",
        "during the storm",
        "two weeks ago",
        "at noon",
        "on my birthday",
        "before the holidays",
        "late at night",
        "in the spring",
        "last year",
        "this morning",
        "after the concert",
        "on 7 May 2026",
        "in the afternoon",
        "at the weekend",
        "when the train was late",
        "in early autumn",
        "just before closing time",
        "while it was raining",
        "on the way home",
        "as promised",
    ],
];

/// A source of texts.
pub(crate) struct Texts {
    state: u64,
    count: usize,
}

impl Texts {
    pub(crate) fn new() -> Self {
        Self { state: 1, count: 0 }
    }

    /// A statement that was not given before.
    pub(crate) fn statement(&mut self) -> String {
        self.count += 1;
        let [who, what, thing, place, time] = self.parts();
        format!("{who} {what} {thing} {place} {time}, note {}.", self.count)
    }

    /// A question that several statements bear on.
    pub(crate) fn question(&mut self) -> String {
        let [who, what, thing, place, time] = self.parts();
        match self.next() % 4 {
            0 => format!("What did {who} do with {thing}?"),
            1 => format!("Who {what} {thing} {place}?"),
            2 => format!("What happened {place} {time}?"),
            _ => format!("When was {thing} {what} by {who}?"),
        }
    }

    fn parts(&mut self) -> [&'static str; 5] {
        PARTS.map(|words| words[(self.next() % words.len() as u64) as usize])
    }

    /// SplitMix64 (Steele, Lea & Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
