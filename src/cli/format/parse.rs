//! Tokens to a tree.

use std::collections::HashMap;
use std::iter::Peekable;

use serde_json::Value;

use super::TemplateError;
use super::lex::{Piece, Token, pieces};

/// How deep control structures and parentheses may stand in each other.
const MAX_DEPTH: usize = 100;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    If { condition: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    With { value: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    Range { value: Pipeline, body: Vec<Node>, otherwise: Vec<Node> },
    Template { name: String, value: Option<Pipeline> },
    Break,
    Continue,
}

/// `$a, $b := command | command`
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pipeline {
    pub variables: Vec<String>,
    /// Whether the variables exist already.
    pub assigns: bool,
    pub commands: Vec<Vec<Operand>>,
}

/// A term and the fields taken of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub at: usize,
    pub term: Term,
    pub fields: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    Dot,
    Constant(Value),
    Variable(String),
    Function(String),
    Group(Pipeline),
}

/// A parsed template with the templates defined in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tree {
    pub main: Vec<Node>,
    pub named: HashMap<String, Vec<Node>>,
}

pub(super) fn parse(text: &str) -> Result<Tree, TemplateError> {
    let mut parser = Parser { pieces: pieces(text)?.into_iter(), tree: Tree::default(), depth: 0, loops: 0 };
    let (main, end) = parser.block()?;
    if let Some((at, word)) = end {
        return Err(TemplateError::at(at, format!("unexpected {{{{{word}}}}}")));
    }
    parser.tree.main = main;
    Ok(parser.tree)
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    tree: Tree,
    depth: usize,
    loops: usize,
}

type Tokens = Peekable<std::vec::IntoIter<(usize, Token)>>;

/// The `end` or `else` that closed a block, with what follows an `else`.
struct End {
    word: &'static str,
    rest: Tokens,
}

impl Parser {
    /// Reads nodes to the end of the text or to an `end` or `else`, which is returned for the caller to refuse.
    fn block(&mut self) -> Result<(Vec<Node>, Option<(usize, &'static str)>), TemplateError> {
        let (nodes, end) = self.nodes()?;
        Ok((nodes, end.map(|end| (0, end.word))))
    }

    fn nodes(&mut self) -> Result<(Vec<Node>, Option<End>), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let tokens = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens) => tokens,
            };
            let mut tokens = tokens.into_iter().peekable();
            let Some((at, first)) = tokens.peek().cloned() else {
                return Err(TemplateError::at(0, "missing value for command"));
            };
            let Token::Identifier(word) = &first else {
                nodes.push(Node::Action(self.pipeline(&mut tokens, at, false)?));
                continue;
            };
            match word.as_str() {
                "end" | "else" => {
                    tokens.next();
                    return Ok((
                        nodes,
                        Some(End { word: if word == "end" { "end" } else { "else" }, rest: tokens }),
                    ));
                }
                "if" | "with" | "range" | "block" | "define" | "template" | "break" | "continue" => {
                    let word = word.clone();
                    tokens.next();
                    nodes.extend(self.control(&word, &mut tokens, at)?);
                }
                _ => nodes.push(Node::Action(self.pipeline(&mut tokens, at, false)?)),
            }
        }
        Ok((nodes, None))
    }

    fn control(&mut self, word: &str, tokens: &mut Tokens, at: usize) -> Result<Option<Node>, TemplateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(TemplateError::at(at, "nested too deeply"));
        }
        let node = match word {
            "break" | "continue" if self.loops == 0 => {
                return Err(TemplateError::at(at, format!("{{{{{word}}}}} outside {{{{range}}}}")));
            }
            "break" => Some(Node::Break),
            "continue" => Some(Node::Continue),
            "template" => {
                let name = string(tokens, at)?;
                let value = tokens.peek().is_some().then(|| self.pipeline(tokens, at, false)).transpose()?;
                Some(Node::Template { name, value })
            }
            "define" => {
                let name = string(tokens, at)?;
                let body = self.until_end(at)?;
                self.tree.named.insert(name, body);
                None
            }
            "block" => {
                let name = string(tokens, at)?;
                let value = self.pipeline(tokens, at, false)?;
                let body = self.until_end(at)?;
                self.tree.named.entry(name.clone()).or_insert(body);
                Some(Node::Template { name, value: Some(value) })
            }
            _ => Some(self.branches(word, tokens, at)?),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn until_end(&mut self, at: usize) -> Result<Vec<Node>, TemplateError> {
        match self.nodes()? {
            (body, Some(End { word: "end", .. })) => Ok(body),
            _ => Err(TemplateError::at(at, "unexpected EOF")),
        }
    }

    /// `if`, `with` and `range` with their `else` parts.
    fn branches(&mut self, word: &str, tokens: &mut Tokens, at: usize) -> Result<Node, TemplateError> {
        let value = self.pipeline(tokens, at, word == "range")?;
        let looping = usize::from(word == "range");
        self.loops += looping;
        let (then, end) = self.nodes()?;
        self.loops -= looping;
        let Some(End { word: closing, mut rest }) = end else {
            return Err(TemplateError::at(at, "unexpected EOF"));
        };
        let otherwise = match (closing, rest.next()) {
            ("end", _) => Vec::new(),
            (_, None) => self.until_end(at)?,
            (_, Some((at, Token::Identifier(next)))) if next == word && word != "range" => {
                self.control(word, &mut rest, at)?.into_iter().collect()
            }
            (_, Some((at, _))) => return Err(TemplateError::at(at, "unexpected token in {{else}}")),
        };
        Ok(match word {
            "if" => Node::If { condition: value, then, otherwise },
            "with" => Node::With { value, then, otherwise },
            _ => Node::Range { value, body: then, otherwise },
        })
    }

    fn pipeline(&mut self, tokens: &mut Tokens, at: usize, range: bool) -> Result<Pipeline, TemplateError> {
        let mut pipeline = Pipeline::default();
        self.declarations(tokens, &mut pipeline, range);
        let mut command = Vec::new();
        loop {
            match tokens.peek().cloned() {
                None | Some((_, Token::Close)) => break,
                Some((at, Token::Pipe)) => {
                    tokens.next();
                    if command.is_empty() {
                        return Err(TemplateError::at(at, "missing value for command"));
                    }
                    pipeline.commands.push(std::mem::take(&mut command));
                }
                Some(_) => command.push(self.operand(tokens)?),
            }
        }
        if command.is_empty() {
            return Err(TemplateError::at(at, "missing value for command"));
        }
        pipeline.commands.push(command);
        Ok(pipeline)
    }

    /// Takes `$a :=`, `$a =` or, for `range`, `$a, $b :=` off the front.
    fn declarations(&self, tokens: &mut Tokens, pipeline: &mut Pipeline, range: bool) {
        let ahead: Vec<Token> = tokens.clone().take(4).map(|(_, token)| token).collect();
        let (names, assigns, count) = match ahead.as_slice() {
            [Token::Variable(a), Token::Declare, ..] => (vec![a.clone()], false, 2),
            [Token::Variable(a), Token::Assign, ..] => (vec![a.clone()], true, 2),
            [Token::Variable(a), Token::Comma, Token::Variable(b), Token::Declare] if range => {
                (vec![a.clone(), b.clone()], false, 4)
            }
            _ => return,
        };
        for _ in 0..count {
            tokens.next();
        }
        (pipeline.variables, pipeline.assigns) = (names, assigns);
    }

    fn operand(&mut self, tokens: &mut Tokens) -> Result<Operand, TemplateError> {
        let (at, token) = tokens.next().expect("the caller saw a token");
        let mut fields = Vec::new();
        let term = match token {
            Token::Field(name, _) => {
                if !name.is_empty() {
                    fields.push(name);
                }
                Term::Dot
            }
            Token::Variable(name) => Term::Variable(name),
            Token::String(text) => Term::Constant(Value::String(text)),
            Token::Number(number) => Term::Constant(Value::Number(number)),
            Token::Identifier(word) => match word.as_str() {
                "true" => Term::Constant(Value::Bool(true)),
                "false" => Term::Constant(Value::Bool(false)),
                "nil" => Term::Constant(Value::Null),
                name if super::functions::exists(name) => Term::Function(word),
                name => return Err(TemplateError::at(at, format!("function {name:?} not defined"))),
            },
            Token::Open => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(TemplateError::at(at, "nested too deeply"));
                }
                let inner = self.pipeline(tokens, at, false)?;
                self.depth -= 1;
                match tokens.next() {
                    Some((_, Token::Close)) => Term::Group(inner),
                    _ => return Err(TemplateError::at(at, "unclosed left paren")),
                }
            }
            other => return Err(TemplateError::at(at, format!("unexpected {other:?} in operand"))),
        };
        while let Some((_, Token::Field(name, true))) = tokens.peek() {
            fields.push(name.clone());
            tokens.next();
        }
        Ok(Operand { at, term, fields })
    }
}

fn string(tokens: &mut Tokens, at: usize) -> Result<String, TemplateError> {
    match tokens.next() {
        Some((_, Token::String(text))) => Ok(text),
        _ => Err(TemplateError::at(at, "unexpected token: a template name is a quoted string")),
    }
}
