"""Sixty texts that try to act in the page: twelve attempts, each in five shapes."""

ATTEMPTS = (
    '=HYPERLINK("http://hit.example")',
    "</script><script>window.hit=1</script>",
    '<img src=http://hit.example/x.png onerror="window.hit=1">',
    "'\"><svg/onload=window.hit=1>",
    "{{ 7 * 191 }}{% raw %}{{ session }}",
    "<form action=http://hit.example id=decide><button name=choice data-key=1 autofocus>Keep</button></form>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<meta http-equiv=refresh content='0;url=http://hit.example'>",
    "\u202egnp.exe\u2066 \u200b\u2028 <!-- \x1b]0;hit\x07",
    "<a href=javascript:window.hit=1 data-key=1 accesskey=1>next</a>",
    "<style>@import url(http://hit.example/x.css); body { display: none }</style>",
    "<base href=http://hit.example/><link rel=stylesheet href=x.css>",
)
SHAPES = (
    "{}",
    '" autofocus onfocus="window.hit=1" x="{}',
    "</div></details></main>{}",
    "\x00{}\x00",
    "\u202e{}\u2069\U000e0041",
)
TEXTS = tuple(shape.replace("{}", attempt) for attempt in ATTEMPTS for shape in SHAPES)
