"""What people see of uploads: the form on a listing, the letterbox, receipts.

The form works without its script.  That sends one file after the other, each as the body of a request of its own, and
shows how far it is; it takes what is dropped anywhere on the page; it asks for JSON, and says what was saved.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from blockingio.cli.upload import Saved
from blockingio.http_server.listing_page import Extra, reference, size_text
from blockingio.http_server.page import Script, escape, page
from blockingio.http_server.paths import shown

# Units that are named where a number of bytes is a whole one of them.
_BINARY_UNITS = ("TiB", "GiB", "MiB", "KiB")

_STYLE = """\
form[method=post] p{flex:1 0 100%;margin:0}
.drag form[method=post]{border:2px dashed var(--link)}
#uploads{list-style:none;margin:0 0 1rem;padding:0}
#uploads li{align-items:center;display:flex;flex-wrap:wrap;gap:.25rem .75rem;overflow-wrap:anywhere;padding:.25rem 0}
#uploads progress{accent-color:var(--link);flex:1 1 8rem;min-width:6rem}
#uploads .name{flex:1 0 100%}
#uploads .pace{color:var(--dim);flex:1 0 100%;font-size:.875rem;font-variant-numeric:tabular-nums}
#uploads .failed{color:var(--bad)}
#list tr.new td{background:var(--new)}
#list tr.new td:first-child{box-shadow:-4px 0 var(--link)}
code{font-size:.875rem;overflow-wrap:anywhere}
dl{margin:0 0 1rem}
dt{font-weight:600;margin-top:1rem;overflow-wrap:anywhere}
dd{margin:0}
:root{--new:#0860c41a;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--new:#6cb2ff2e;--bad:#ff9d94}}
"""

# Rates are those of the last five seconds.  The list is asked for again once nothing waits to be sent.
_CODE = """
const form=document.querySelector("form[method=post]"),input=form.elements.file,list=document.querySelector("#uploads");
const most=+input.dataset.most,waiting=[],saved=new Set();let sending=null;
form.querySelector("p").textContent=
"Drop files anywhere on this page, or choose them here: at most "+input.dataset.limit+" each.";
const size=bytes=>{if(bytes<1e3)return`${bytes} B`;let unit=-1;do{bytes/=1e3;unit++}while(bytes>=999.5&&unit<5);
return`${bytes.toFixed(bytes<9.95?1:0)} ${["kB","MB","GB","TB","PB","EB"][unit]}`};
const span=left=>left<90?`${Math.ceil(left)} s`:left<5400?`${Math.round(left/60)} min`:`${(left/3600).toFixed(1)} h`;
const make=(name,text,marks)=>Object.assign(document.createElement(name),{textContent:text},marks);
class Upload{constructor(file){this.file=file;this.row=make("li","");this.bar=make("progress","",{max:1,value:0});
this.bar.setAttribute("aria-label",`Sending ${file.name}`);this.pace=make("span","waiting",{className:"pace"});
this.button=make("button","Cancel",{type:"button"});this.button.setAttribute("aria-label",`Cancel ${file.name}`);
this.button.onclick=()=>this.cancel();this.said=make("span","");this.said.setAttribute("role","status");
this.row.append(make("span",file.name,{className:"name"}),this.bar,this.button,this.pace,this.said);
list.append(this.row)}
end(text,failed){if(this.row.contains(document.activeElement))input.focus();
for(const part of[...this.row.children])if(part!==this.said)part.remove();
this.said.className=failed?"failed":"";this.said.textContent=text;if(sending===this)sending=null;next()}
fail(why){this.end(`${this.file.name} was not saved: ${why}`,true)}
cancel(){if(sending===this)this.request.abort();
else{waiting.splice(waiting.indexOf(this),1);this.end(`Cancelled ${this.file.name}`)}}
send(){const request=this.request=new XMLHttpRequest(),fields={"Accept":"application/json",
"Content-Type":"application/octet-stream","Slug":encodeURIComponent(this.file.name)};
sending=this;this.marks=[[performance.now(),0]];request.open("POST",location.pathname);request.responseType="json";
for(const name in fields)request.setRequestHeader(name,fields[name]);request.upload.onprogress=event=>this.show(event);
request.onload=()=>{const answer=request.response;if(request.status===201&&answer)this.done(answer.saved);
else this.fail(answer&&answer.message||`the server answered ${request.status}`)};
request.onerror=()=>this.fail("the connection broke, or the file can no longer be read.");
request.onabort=()=>this.end(`Cancelled ${this.file.name}`);request.send(this.file)}
show(event){const now=performance.now(),marks=this.marks;marks.push([now,event.loaded]);
while(marks.length>2&&now-marks[1][0]>5e3)marks.shift();
const rate=(event.loaded-marks[0][1])/(now-marks[0][0])*1e3,left=(event.total-event.loaded)/rate;
this.bar.value=event.loaded/event.total;this.pace.textContent=event.loaded<event.total?
`${size(event.loaded)} of ${size(event.total)}`+(rate>0?`, ${size(Math.round(rate))}/s, ${span(left)} left`:
""):"saving"}
done(files){for(const file of files){saved.add(file.url);
if(file.sha256)this.row.after(make("li",`SHA-256 of ${file.name}: ${file.sha256}`))}
this.end(files.map(file=>`Saved ${file.name} (${size(file.size)})`).join(", "))}}
const mark=async()=>{const old=document.querySelector("#list"),box=document.querySelector("[type=search]");
if(!old)return;
try{const answer=await fetch(location.href,{cache:"no-store",headers:{accept:"text/html"}});if(!answer.ok)return;
const text=new DOMParser().parseFromString(await answer.text(),"text/html");
const fresh=text.querySelector("#list"),filter=fresh.querySelector("[type=search]");
const types=document.activeElement===box;
if(box&&filter)filter.value=box.value;old.replaceWith(fresh);if(box&&filter&&types)filter.focus()}catch{return}
show();const rows=[...document.querySelectorAll("#list td a")].filter(link=>saved.has(link.getAttribute("href")))
.map(link=>link.closest("tr"));for(const row of rows)row.className="new";
if(rows.length)rows[0].scrollIntoView({block:"nearest"})};
const next=()=>{if(sending)return;if(waiting.length)waiting.shift().send();else mark()};
const add=files=>{const uploads=[...files].map(file=>new Upload(file));
waiting.push(...uploads.filter(({file})=>file.size<=most));
for(const upload of uploads)if(upload.file.size>most)
upload.fail(`it is larger than the ${input.dataset.limit} that are taken here.`);next()};
form.onsubmit=event=>{event.preventDefault();add(input.files);form.reset()};
const brings=event=>event.dataTransfer&&event.dataTransfer.types.includes("Files");let dragging;
const drag=now=>document.documentElement.classList.toggle("drag",now);
addEventListener("dragover",event=>{if(!brings(event))return;event.preventDefault();drag(true);
clearTimeout(dragging);dragging=setTimeout(drag,500,false)});
addEventListener("drop",event=>{if(!brings(event))return;event.preventDefault();drag(false);
const folders=[...event.dataTransfer.items].filter(item=>item.kind==="file")
.map(item=>item.webkitGetAsEntry&&item.webkitGetAsEntry()).map(entry=>entry&&entry.isDirectory);
const files=[...event.dataTransfer.files];add(files.filter((file,place)=>!folders[place]));
for(const file of files.filter((file,place)=>folders[place]))
new Upload(file).fail("it is a folder. Send its files, or pack it first.")});
addEventListener("beforeunload",event=>{if(sending)event.preventDefault()});
"""


def upload_form(most: int) -> Extra:
    """What a listing gets for uploads of at most ``most`` bytes."""
    limit = limit_text(most)
    return Extra(
        f'<form method="post" enctype="multipart/form-data">\n'
        f'<input type="file" name="file" multiple required aria-label="Files to upload" data-most="{most}" '
        f'data-limit="{limit}">\n'
        f'<button>Upload</button>\n<p>At most {limit}.</p>\n</form>\n<ul id="uploads"></ul>\n', _STYLE, _CODE)


class Letterbox:
    """The page that takes files and shows none."""

    def __init__(self, most: int) -> None:
        extra = upload_form(most)
        self.script: Script = extra.script()
        self.html = page("Hand in files", (
            "<main>\n<h1>Hand in files</h1>\n<p>What you send is kept, and nobody can see or fetch it here. For each "
            f"file you get a receipt with its SHA-256.</p>\n{extra.form}</main>\n"),
            style=extra.style, script=self.script)


def receipt_page(saved: Sequence[Saved]) -> str:
    """What was handed in, for a browser without scripts."""
    rows = "".join(f"<dt>{escape(shown(file.sent_as))}</dt>\n<dd>{_exact_text(file.size)}</dd>\n"
                   f"<dd>SHA-256 <code>{file.sha256}</code></dd>\n" for file in saved)
    count = f"{len(saved)} file{'' if len(saved) == 1 else 's'}"
    return page("Receipt", f'<main>\n<h1>Receipt</h1>\n<p>{count} came whole, and {"is" if len(saved) == 1 else "are"} '
                           f'kept.</p>\n<dl>\n{rows}</dl>\n<p><a href="./">Hand in more</a></p>\n</main>\n',
                style=_STYLE)


def _exact_text(size: int) -> str:
    """As "3.0 kB, 3,001 bytes"."""
    exact = f"{size:,} byte{'' if size == 1 else 's'}"
    return exact if size < 1000 else f"{size_text(size)}, {exact}"


def saved_json(saved: Sequence[Saved]) -> str:
    """The same for scripts.  What is hashed is in a letterbox: the name that it has there is told to no client."""
    return json.dumps({"saved": [
        {"name": shown(file.sent_as), "size": file.size, "sha256": file.sha256} if file.sha256 is not None else
        {"name": shown(file.name), "size": file.size, "url": reference(file.name)} for file in saved]},
        ensure_ascii=False) + "\n"


def limit_text(most: int) -> str:
    """As "1 GiB" where it is a whole number of such a unit, else as "1.5 GB"."""
    for power, unit in zip((40, 30, 20, 10), _BINARY_UNITS):
        if most and most % (1 << power) == 0:
            return f"{most >> power} {unit}"
    return size_text(most)
