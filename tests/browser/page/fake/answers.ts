/** What the fake model says, by words in the question. */

export const LONG = `# Rainbows

Light bends **twice** in each drop, and *once* bounces back.

1. Red leaves at 42°
2. Violet leaves at 40°
   \`\`\`sh
   echo "nested"
   \`\`\`

| Colour | Angle |
| --- | ---: |
| red | 42° |
| violet | 40° |

\`\`\`python
def angle(colour):
\treturn {"red": 42, "violet": 40}[colour]
\`\`\`

> Stand with the sun behind you.

See [the page](https://example.org/rainbow) for more.
`;

export const HOSTILE = `Before.

<script>window.pwned = "script"</script>

<img src="x" onerror="window.pwned = 'onerror'">

[click me](javascript:window.pwned='link') and [entity](&#106;avascript:window.pwned='entity') and <a href="javascript:window.pwned=1">raw</a>

![pixel](https://example.org/pixel.png?secret=1)

<iframe srcdoc="<script>parent.pwned='iframe'</script>"></iframe><svg onload="window.pwned='svg'"></svg>

| a |
| --- |
| <b onclick="window.pwned='table'">x</b> line<br>break |

\`\`\`html" onmouseover="window.pwned='info'
<script>window.pwned = "code"</script>
\`\`\`

<style>body { display: none }</style>

After.`;

/** Many blocks: long enough that drawing it all anew for every piece would show. */
export const HUGE = Array.from({ length: 120 }, (_, index) => `## Part ${index}\n\nSome *text* with \`code\` and **weight**, number ${index}.\n\n- one\n- two\n\n\`\`\`js\nconst n = ${index};\n\`\`\`\n`).join("\n");

/** What it thinks before an answer to a question with "ponder" in it. */
export const PONDERED = "First, <b>the colours</b>.\n\n**Then** their order.";

export function answerTo(question: string, about: string): string {
  if (question.includes("rainbow")) {
    return LONG;
  }
  if (question.includes("hostile")) {
    return HOSTILE;
  }
  if (question.includes("huge")) {
    return HUGE;
  }
  if (question.includes("forever")) {
    return "on and on ".repeat(2000);
  }
  return `You said: ${question}. ${about}`;
}
