//! Tokens, headers and key sets against what is expected of them. `T02` and the like are rows of `cases.jsonl`.

mod cases;
mod claims;
mod fuzz;
mod hostile;
mod keys;
mod sign;
mod world;
