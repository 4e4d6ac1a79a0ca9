"use strict";
// What textual.js leaves to its page: where the terminal's line is, how large its letters are (?fontsize=18), and that it
// has the keys without a click.

document.addEventListener("DOMContentLoaded", () => {
    const terminal = document.getElementById("terminal");
    terminal.dataset.sessionWebsocketUrl = location.origin.replace(/^http/, "ws") + "/ws";
    const size = Number(new URLSearchParams(location.search).get("fontsize"));
    if (size >= 6 && size <= 60) terminal.dataset.fontSize = size;
    new MutationObserver((_, observer) => {
        if (!document.body.classList.contains("-loaded")) return; // its line is not open
        observer.disconnect();
        window.addEventListener("focus", focus);
        focus();
    }).observe(document.body, { attributes: true });
});

function focus() {
    document.querySelector(".xterm-helper-textarea").focus();
}
