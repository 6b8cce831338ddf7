//! The printed report: what is hidden, and who says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{
    Half,
    graph::{Edge, From, Graph, Root},
    lists::Class,
};

/// Names of members, by what they are.
#[derive(Default)]
struct Found {
    marked: BTreeSet<String>,
    listed: BTreeSet<String>,
    personal: BTreeSet<String>,
    noise: BTreeSet<String>,
}

/// Prints each hidden member of answers and how many there are by service, for requests only how many.
pub fn print(services: &BTreeMap<&str, [Half<'_>; 2]>) -> String {
    let (mut members, mut table) = (String::new(), String::new());
    let mut sums = [0_usize; 8];
    let mut with_answers = [0_usize; 2];
    for (service, [output, input]) in services {
        let found = found(output);
        for (kind, names) in
            [("secret", &found.marked), ("secret, listed", &found.listed), ("personal", &found.personal)]
        {
            for name in names {
                let _ = writeln!(members, "{kind:<15}{service} {name}");
            }
        }
        let (of_output, of_input) = (operations(output), operations(input));
        let row = [
            of_output[0],
            of_output[1],
            found.marked.len(),
            found.listed.len(),
            found.personal.len(),
            found.noise.len(),
            of_input[0],
            self::found(input).marked.len() + self::found(input).listed.len(),
        ];
        with_answers[0] += usize::from(of_output[0] > 0);
        with_answers[1] += usize::from(of_output[1] > 0);
        for (sum, number) in sums.iter_mut().zip(row) {
            *sum += number;
        }
        if row.iter().any(|number| *number > 0) {
            table.push_str(&self::row(service, &row.map(|number| number.to_string())));
        }
    }
    let heads = ["answers", "personal", "marked", "listed", "personal", "noise", "requests", "members"];
    let head = row("service", &heads.map(str::to_owned));
    let total = row("all", &sums.map(|number| number.to_string()));
    let [secret, personal] = with_answers;
    format!(
        "{members}\n{head}{table}{total}\n{} operations of {secret} services answer with secrets, {} of {personal} with \
         what is only personal or with both; {} operations take secrets.\n",
        sums[0], sums[1], sums[6]
    )
}

fn row(name: &str, numbers: &[String; 8]) -> String {
    let numbers: String = numbers.iter().map(|number| format!(" {number:>8}")).collect();
    format!("{name:<36}{numbers}\n")
}

fn found(half: &Half<'_>) -> Found {
    let mut found = Found { noise: half.graph.noise.iter().cloned().collect(), ..Found::default() };
    let mut add = |hidden, name: String| {
        match hidden {
            Some((Class::Secret, From::Trait, _)) => found.marked.insert(name),
            Some((Class::Secret, From::List, _)) => found.listed.insert(name),
            Some((Class::Personal, ..)) => found.personal.insert(name),
            None => false,
        };
    };
    for node in &half.graph.nodes {
        for edge in &node.edges {
            add(edge.hidden, edge.step.of(&node.name));
        }
    }
    for (operation, (hidden, _)) in &half.roots {
        add(*hidden, (*operation).to_owned());
    }
    found
}

/// How many operations lead to secrets, and how many to the personal.
fn operations(half: &Half<'_>) -> [usize; 2] {
    [Class::Secret, Class::Personal]
        .map(|class| half.roots.iter().filter(|(_, root)| leads(&half.graph, root, class)).count())
}

fn leads(graph: &Graph<'_>, (hidden, to): &Root, class: Class) -> bool {
    let is = |hidden: &Option<(Class, From, char)>| hidden.is_some_and(|(of, ..)| of == class);
    let mut seen = BTreeSet::new();
    let mut open: Vec<usize> = to.iter().copied().collect();
    while let Some(id) = open.pop() {
        let Some(node) = graph.nodes.get(id).filter(|_| seen.insert(id)) else { continue };
        if node.edges.iter().any(|edge: &Edge<'_>| is(&edge.hidden)) {
            return true;
        }
        open.extend(node.edges.iter().filter_map(|edge| edge.to));
    }
    is(hidden)
}
