//! What is deployed, and from which parts: the template and the code say the same, and the parts
//! depend on each other one way.

mod seams;
mod template;
