//! Which situations words belong to, and which slots a query asks for.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use regex::{Regex, RegexSet};

use super::{pattern, pattern_set};

/// Situation, and the words and phrases that belong to it. The vocabulary is closed.
const LEXICON: &[(&str, &str)] = &[
    (
        "food",
        "food,eat,eating,eats,ate,meal,breakfast,lunch,dinner,supper,brunch,snack,dish,recipe,cook,cooking,bake,baking,cuisine,ingredient,vegetarian,vegan,meat,pork,beef,chicken,fish,seafood,shellfish,shrimp,peanut,nut,gluten,dairy,lactose,milk,cheese,egg,soy,wheat,sugar,spicy,dessert,cake,chocolate,pizza,pasta,sushi,burger,salad,soup,bread,fruit,vegetable,restaurant,takeaway,takeout,order in,hungry,diet,calorie,menu,halal,kosher,keto,picnic,barbecue,bbq,buffet,potluck,onion,garlic,mushroom,tofu,rice,noodle,steak,groceries,grocery",
    ),
    (
        "drink",
        "drink,drinks,drinking,coffee,tea,wine,beer,alcohol,cocktail,juice,soda,caffeine,espresso,latte,whisky,whiskey,bar,pub,cafe,café,smoothie,vodka,bottle",
    ),
    (
        "restaurant",
        "restaurant,dinner,lunch,brunch,eat out,eating out,dine,dining,bistro,cafe,café,diner,reservation,book a table,table for,takeaway,takeout,menu,sushi,pizza,steakhouse,catering,food place,place to eat",
    ),
    (
        "cooking",
        "cook,cooking,recipe,bake,baking,kitchen,ingredient,meal prep,dish,oven,barbecue,bbq,grill,menu,dinner party,grocery,groceries,potluck",
    ),
    (
        "travel",
        "travel,trip,flight,fly,flying,flew,hotel,vacation,holiday,airport,airline,train,itinerary,visa,passport,abroad,tour,cruise,airbnb,luggage,pack,packing,seat,window seat,aisle,car rental,drive,driving,sightseeing,backpack,hostel,destination,weekend getaway,commute,taxi,bus,road trip,plane",
    ),
    (
        "schedule",
        "schedule,scheduling,calendar,appointment,morning,afternoon,evening,plan my,plan a,deadline,reschedule,slot,availability,available,agenda,remind,reminder,weekday,weekend,monday,tuesday,wednesday,thursday,friday,saturday,sunday,o'clock,am,pm,timetable,routine,set up a,working hours,week,day off,invite,event,book",
    ),
    (
        "meeting",
        "meeting,meet,call,standup,stand-up,sync,interview,conference,appointment,zoom,teams,one-on-one,1:1,agenda,invite,video call",
    ),
    (
        "shopping",
        "shop,shopping,buy,buying,purchase,order,price,store,mall,brand,cheap,deal,discount,gift,clothes,shoes,dress,jacket,online shop,groceries,grocery,supermarket,product,laptop,phone,wear",
    ),
    (
        "money",
        "money,budget,cost,price,spend,spending,save money,saving,savings,afford,expensive,cheap,debt,loan,rent,salary,invest,investment,tax,mortgage,bill,subscription,finance,financial,bank,insurance,pension,euro,dollar,pay,mortgage",
    ),
    (
        "health",
        "health,healthy,doctor,medicine,medication,sick,ill,illness,pain,hurt,injury,injured,allergy,allergic,symptom,headache,migraine,diet,weight,pregnant,diabetes,diabetic,asthma,blood pressure,hospital,therapy,therapist,stress,anxiety,anxious,mental,smoking,smoke,sleep,vitamin,supplement,dentist,surgery,fever,flu,vaccine,remedy,wellness,caffeine",
    ),
    (
        "exercise",
        "exercise,workout,work out,gym,run,running,marathon,jog,jogging,yoga,swim,swimming,cycling,bike,hike,hiking,fitness,training,train for,sport,football,tennis,climb,climbing,stretch,muscle,knee,lift,weights,pilates,walk,walking,5k,10k,race,ski,skiing,injury",
    ),
    (
        "sleep",
        "sleep,sleeping,asleep,nap,insomnia,bed,bedtime,tired,night owl,early bird,wake,wake up,alarm,rest,awake,late coffee,caffeine",
    ),
    (
        "work",
        "work,working,job,office,boss,colleague,coworker,career,project,client,deadline,meeting,resume,cv,interview,promotion,salary,team,company,employer,remote,presentation,report,overtime,business,standup,vacation days,email",
    ),
    (
        "coding",
        "code,coding,program,programming,software,bug,debug,function,refactor,rust,python,javascript,typescript,java,c++,api,git,commit,deploy,deploying,deployment,compile,compiler,database,sql,unit test,library,framework,ide,editor,vs code,vim,script,repository,pull request,merge,indent,tabs,semicolon,backend,frontend,docker,kubernetes",
    ),
    (
        "writing",
        "write,writing,essay,blog,article,draft,email,letter,novel,story,poem,edit,proofread,tone,report,documentation,text,rewrite,paragraph,summary,summarise,summarize,cover letter,speech,toast,caption,post,emoji,bullet,spelling",
    ),
    (
        "communication",
        "call,phone,message,text,email,reply,respond,answer,explain,talk,speak,language,tone,formal,informal,polite,whatsapp,slack,contact,notify,notification,emoji,concise,brief,conversation,address me,tell,say,chat",
    ),
    (
        "family",
        "family,mother,mum,mom,father,dad,parent,sister,brother,son,daughter,child,children,kid,wife,husband,partner,spouse,grandma,grandmother,grandpa,grandfather,aunt,uncle,cousin,niece,nephew,baby,toddler,wedding,anniversary,in-laws,babysitter",
    ),
    ("pets", "pet,dog,cat,puppy,kitten,rabbit,hamster,vet,parrot,fish tank,aquarium,leash,horse,animal"),
    (
        "home",
        "home,house,apartment,flat,room,furniture,garden,decorate,decor,clean,cleaning,repair,rent,landlord,kitchen,bathroom,sofa,paint,plants,neighbour,neighbor,moving,renovate,renovation,balcony,heating,laundry",
    ),
    (
        "music",
        "music,song,album,band,concert,playlist,guitar,piano,sing,singing,jazz,rock,instrument,spotify,listen,classical,violin,drums,gig,festival",
    ),
    (
        "entertainment",
        "movie,film,series,show,tv,netflix,game,gaming,watch,book,novel,read,theatre,theater,cinema,concert,podcast,hobby,party,festival,museum,comedy,horror,anime,fun,date night,weekend,bored,night out,board game,spoiler",
    ),
    ("gift", "gift,present,birthday,christmas,anniversary,valentine,surprise,wedding,housewarming,wrap"),
    (
        "study",
        "study,studying,learn,learning,exam,course,school,university,college,homework,class,degree,lesson,language,tutor,thesis,teach,revision,lecture,test prep,quiz,flashcard",
    ),
    (
        "privacy",
        "privacy,private,confidential,secret,personal data,share my,tracking,password,anonymous,public,post my,photo of me,consent",
    ),
];

/// The words before and behind which a gift or plan hides: phrases that no single word gives away.
const LONGEST_PHRASE: usize = 3;

static WORDS: LazyLock<HashMap<&'static str, Vec<usize>>> = LazyLock::new(|| {
    let mut words: HashMap<&'static str, Vec<usize>> = HashMap::new();
    for (index, (_, list)) in LEXICON.iter().enumerate() {
        for word in list.split(',') {
            words.entry(word).or_default().push(index);
        }
    }
    words
});

/// The situations that the words of `text` belong to, in the order of the vocabulary.
pub(super) fn of(text: &str) -> Vec<&'static str> {
    let lower = text.to_lowercase().replace('’', "'");
    let tokens: Vec<&str> = lower
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '-' | '+' | ':')))
        .map(|token| token.trim_matches(|c: char| !c.is_alphanumeric() && c != '+'))
        .filter(|token| !token.is_empty())
        .collect();
    let mut hits = [false; LEXICON.len()];
    let mut note = |word: &str| {
        let found = WORDS.get(word);
        for &index in found.into_iter().flatten() {
            hits[index] = true;
        }
        found.is_some()
    };
    for (at, token) in tokens.iter().enumerate() {
        let token = token.strip_suffix("'s").unwrap_or(token);
        let _ = note(token)
            || token.strip_suffix("ies").is_some_and(|stem| note(&format!("{stem}y")))
            || token.strip_suffix("es").is_some_and(&mut note)
            || token.strip_suffix('s').is_some_and(&mut note);
        for length in 2..=LONGEST_PHRASE.min(tokens.len() - at) {
            note(&tokens[at..at + length].join(" "));
        }
    }
    LEXICON.iter().zip(hits).filter(|(_, hit)| *hit).map(|((name, _), _)| *name).collect()
}

/// Question shape, and the slots it asks for.
const ASKED: &[(&str, &[&str])] = &[
    (
        r"where (?:do|does|did|am|is|are) .+? (?:live|living|based|reside|staying)\b|where (?:am i|are we) (?:based|living)|(?:which|what) (?:city|town|country|place) .+? (?:live|living|based|in)\b|\b(?:my|our|'s|her|his|their) (?:current )?(?:home|city|residence|address|location)\b|where (?:is|'s) (?:my|our) home|\bmoved? to\b",
        &["residence"],
    ),
    (r"where (?:am|is|are|do|does) .+?(?: come)? from\b|\b(?:home ?town)\b", &["origin"]),
    (r"where .+? grow up|where .+? grew up", &["grew_up_in"]),
    (r"where (?:was|were) .+? born", &["birthplace"]),
    (
        r"(?:what(?:'s| is| was)?|remember|know|tell me|recall|say|who).*?\bnames?\b|who am i\b|what am i called|what should (?:you|i|we) call (?:me|you)|how should you (?:call|address) me",
        &["name", "preferred_name"],
    ),
    (
        r"where .+? work(?:s|ing)?\b|who .+? works? (?:for|at)|\b(?:my|our|'s|her|his) (?:employer|company|workplace)\b|(?:which|what) company",
        &["employer"],
    ),
    (
        r"what .+? (?:do|does) (?:i |he |she |they |we )?.*?for (?:a living|work)|\b(?:my|'s|her|his|their) (?:job|profession|occupation|job title|role|career)\b|what (?:kind of |sort of )?(?:job|work) .+?|what .+?(?:do for|work as)|what do i do$",
        &["job"],
    ),
    (r"how old\b|\b(?:my|'s|her|his) age\b|what age", &["age", "birthday", "birth_year"]),
    (r"\bbirthday\b|when (?:was|were) .+? born|date of birth", &["birthday", "birth_year"]),
    (
        r"(?:what|which|anything|something).*?(?:can't|cannot|can not|shouldn't|should not|avoid|not able to|unable to|mustn't|don't).*?(?:eat|have|drink|order)?|\ballerg(?:y|ies|ic|en)\b|intoleran",
        &["allergy", "avoids", "diet"],
    ),
    (
        r"\bdiet(?:ary)?\b|(?:am|is|are) .+? (?:vegan|vegetarian|pescatarian|halal|kosher)|what .+? eat\b|do i eat",
        &["diet", "allergy", "avoids"],
    ),
    (
        r"(?:am|is|are) .+? (?:married|single|engaged|divorced|dating|in a relationship)|relationship status|marital status",
        &["relationship_status", "spouse"],
    ),
    (r"who .+? married to|\b(?:my|'s) (?:wife|husband|spouse)'s name", &["spouse"]),
    (r"what nationality|where .+?citizen|\b(?:my|'s) nationality|what passport", &["nationality"]),
    (r"(?:what|which|how many) languages?\b|do i speak|does .+? speak", &["languages"]),
    (r"\bbudget\b|how much can (?:i|we) spend|afford", &["budget"]),
    (r"(?:what|which) .*?(?:condition|illness|disease|injury|health issue|medical)", &["condition"]),
    (
        r"(?:what|which|where).+? study(?:ing)?\b|\b(?:my|'s) (?:major|degree|school|university|college)\b",
        &["studies", "school"],
    ),
    (r"what (?:kind of |sort of )?car\b|which car|what .+? drive\b", &["car"]),
    (r"\btime ?zone\b", &["timezone"]),
    (r"\bpronouns\b", &["pronouns"]),
    (r"\breligion\b|religious", &["religion"]),
];

struct Asked {
    set: RegexSet,
    favourite: Regex,
    taste: Regex,
}

static ASKED_TABLE: LazyLock<Asked> = LazyLock::new(|| Asked {
    set: pattern_set(ASKED.iter().map(|(source, _)| format!("(?i){}", source.replace('\'', "['’]")))),
    favourite: pattern(
        r"(?i)\bfavou?rite (?P<x>[\p{L}\d'’\- ]+?)(?:\s+(?:of all time|ever|again|in|for|to|is|are|was|do|does|that|right now|now|at|and)\b|[?.!,;]|$)",
    ),
    taste: pattern(
        r"(?i)\b(?:which|what) (?P<x>[\p{L}]+) (?:do|does) .+? (?:like|love|prefer) (?:best|most|the most)",
    ),
});

/// The slots whose value `query` asks for, without repeats.
pub(super) fn slots_asked(query: &str) -> Vec<Cow<'static, str>> {
    let mut slots: Vec<Cow<'static, str>> = Vec::new();
    let mut add = |slot: Cow<'static, str>| {
        if !slots.contains(&slot) {
            slots.push(slot);
        }
    };
    let query = query.trim();
    for index in ASKED_TABLE.set.matches(query) {
        for slot in ASKED[index].1 {
            add(Cow::Borrowed(slot));
        }
    }
    for found in ASKED_TABLE.favourite.captures_iter(query).chain(ASKED_TABLE.taste.captures_iter(query)) {
        add(Cow::Owned(format!("favourite:{}", favourite_key(&found["x"]))));
    }
    slots
}

/// What a favourite is a favourite of: lower case, British spelling, one word for one thing.
pub(super) fn favourite_key(kind: &str) -> String {
    let lower = kind.to_lowercase().replace('’', "'");
    let words: Vec<String> = lower
        .split_whitespace()
        .map(|word| match word {
            "color" | "colors" | "colours" => "colour".to_owned(),
            "flavor" | "flavors" | "flavours" => "flavour".to_owned(),
            "movie" | "movies" | "films" => "film".to_owned(),
            "theater" => "theatre".to_owned(),
            "soccer" => "football".to_owned(),
            "series" | "news" => word.to_owned(),
            word if word.len() > 4 && word.ends_with("ies") => word.to_owned(),
            word if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") => {
                word[..word.len() - 1].to_owned()
            }
            word => word.to_owned(),
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_belong_to_situations() {
        for (query, expected) in [
            ("recommend a restaurant", &["food", "restaurant"][..]),
            ("what should I cook tonight", &["food", "cooking"]),
            ("book a flight", &["travel"]),
            ("plan my morning", &["schedule"]),
            ("present for my mum", &["gift", "family"]),
            ("Where can I get good sushi?", &["food"]),
            ("fix this Rust bug", &["coding"]),
            ("set up a meeting with Bob", &["meeting", "schedule"]),
            ("suggest a workout", &["exercise"]),
            ("what film should we watch", &["entertainment"]),
        ] {
            let found = of(query);
            assert!(expected.iter().all(|situation| found.contains(situation)), "{query:?}: {found:?}");
        }
        assert_eq!(of("xyzzy"), Vec::<&str>::new());
    }

    #[test]
    fn questions_name_the_slots_they_ask_for() {
        for (query, expected) in [
            ("where do I live?", "residence"),
            ("Where does my sister live", "residence"),
            ("what's my name", "name"),
            ("where do I work", "employer"),
            ("what do I do for a living", "job"),
            ("what can't I eat", "allergy"),
            ("what’s my favorite color?", "favourite:colour"),
            ("what is my favourite movie of all time", "favourite:film"),
            ("how old am I?", "age"),
            ("am I married", "relationship_status"),
            ("when is my birthday", "birthday"),
        ] {
            let found = slots_asked(query);
            assert!(found.iter().any(|slot| slot == expected), "{query:?}: {found:?}");
        }
        for query in ["recommend a restaurant", "what time is it", "how do I sort a list?"] {
            assert!(slots_asked(query).is_empty(), "{query:?}: {:?}", slots_asked(query));
        }
    }
}
