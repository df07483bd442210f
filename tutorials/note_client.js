// The page's half of the note taker; the other is note_server.py. See README.rst.

const server = "http://localhost:4042";

const noteEntry = document.querySelector("#note_entry");
const chooseNote = document.querySelector("#choose_note");
const howManyNotes = document.querySelector("#display_how_many_notes");
const displayNote = document.querySelector("#display_note");

document.querySelector("#save_form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await ask({ myNote: noteEntry.value }, howManyNotes)) {
    noteEntry.value = "";
  }
});

document.querySelector("#get_form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask({ getNote: chooseNote.value }, displayNote);
});

// Sends a question, and shows the answer, whatever it is. True if it went well.
async function ask(question, output) {
  try {
    const response = await fetch(server, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(question),
    });
    output.textContent = (await response.text()).trim();
    return response.ok;
  } catch {
    output.textContent = "No answer. Is note_server.py running?";
    return false;
  }
}
