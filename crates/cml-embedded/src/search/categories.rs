//! What belongs to common categories, for queries that name the category and memories that name a member.

/// Stems of category names, each row with the stems of frequent members.
///
/// Vectors of words know that "dog" is near "pet", and hardly that an allergy bears on food or that an
/// editor is a tool of development.
#[rustfmt::skip]
const CATEGORIES: &[(&[&str], &[&str])] = &[
    (&["food", "diet", "dietari", "meal", "restaur", "cuisin", "eat"],
     &["vegetarian", "vegan", "pescatarian", "allerg", "allergi", "gluten", "lactos", "kosher", "halal", "nut", "seafood"]),
    (&["theme", "appear", "interfac", "ui"], &["dark", "light", "mode", "colour", "color", "font", "layout"]),
    (&["develop", "program", "code", "softwar", "editor", "ide", "tool"],
     &["code", "editor", "ide", "vim", "emac", "vscode", "git", "docker", "linux", "python", "rust", "javascript",
       "typescript", "java", "compil", "framework", "terminal", "postgr"]),
    (&["pet", "anim"], &["dog", "cat", "puppi", "kitten", "hamster", "parrot", "rabbit", "turtl", "horse", "bird"]),
    (&["job", "occup", "profess", "career", "employ"],
     &["engin", "teacher", "nurs", "doctor", "manag", "lawyer", "design", "employ", "hire", "work"]),
    (&["famili", "relat", "sibl", "parent"],
     &["sister", "brother", "mother", "father", "wife", "husband", "son", "daughter", "child", "cousin", "aunt", "uncl",
       "grandmoth", "grandfath", "grandma", "grandpa", "nephew", "niec"]),
    (&["hobbi", "activ", "interest", "pastim", "leisur"],
     &["hike", "camp", "paint", "swim", "run", "danc", "garden", "cook", "bake", "read", "photographi", "potteri",
       "guitar", "piano", "cycl", "climb", "chess", "yoga", "fish", "knit", "surf", "ski"]),
    (&["health", "medic", "ill", "condit", "diseas"],
     &["allerg", "allergi", "asthma", "diabet", "migrain", "injuri", "surgeri", "doctor", "pain", "therapi"]),
    (&["locat", "resid", "address", "hometown"], &["live", "move", "citi", "apart", "hous"]),
    (&["vehicl", "transport"], &["car", "bike", "bicycl", "motorcycl", "truck", "van", "train", "bus"]),
    (&["instrument", "music"], &["guitar", "piano", "violin", "cello", "drum", "flute", "sing", "band", "concert"]),
    (&["sport", "exercis", "workout", "fit"],
     &["footbal", "tenni", "basketbal", "soccer", "swim", "run", "gym", "yoga", "hike", "cycl", "marathon", "climb"]),
    (&["languag"], &["english", "spanish", "french", "german", "italian", "chines", "japanes", "portugues", "arab", "russian"]),
    (&["travel", "trip", "vacat", "holiday"], &["flight", "hotel", "beach", "visit", "road", "cruis", "passport", "camp"]),
    (&["drink", "beverag"], &["coffe", "tea", "beer", "wine", "juic", "water", "cocktail"]),
    (&["money", "financ", "budget", "expens"], &["salari", "rent", "loan", "save", "spend", "cost", "mortgag", "price"]),
];

/// The members of the category that a stem names.
pub(crate) fn members(stem: &str) -> impl Iterator<Item = &'static str> {
    CATEGORIES
        .iter()
        .filter(move |(names, _)| names.contains(&stem))
        .flat_map(|(_, members)| *members)
        .copied()
}
