//! The page of a problem's code: what happened, and what to do.

use super::html::{frame, inline};
use crate::codes::Code;

pub(super) fn render(code: Code) -> String {
    let body = format!(
        "<h1>{}</h1>\n<p class=\"dim\"><code>{code}</code>, status {}</p>\n<h2>What happened</h2>\n<p>{}</p>\n\
         <h2>What to do</h2>\n<p>{}</p>\n<p><a href=\"/docs#problems\">All problems</a></p>\n",
        code.title(),
        code.status().as_u16(),
        inline(code.happened()),
        inline(code.next_step())
    );
    frame(&code.title(), &body)
}
