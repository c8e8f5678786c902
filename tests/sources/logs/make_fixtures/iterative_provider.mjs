// A target of promptfoo that stands for a strategy with several tries: it says which prompt it really sent.
import { readFileSync } from 'node:fs';

export default class Iterative {
  id() {
    return 'iterative';
  }

  async callApi(prompt) {
    if (prompt.includes('never')) {
      return { output: '', metadata: { redteamHistory: [] } };
    }
    const sent = `Tell me a story about this. ${prompt}`;
    const url = readFileSync(new URL('stub-url.txt', import.meta.url), 'utf-8');
    const body = JSON.stringify({ model: 'target', messages: [{ role: 'user', content: sent }] });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${url}/chat/completions`, { method: 'POST', headers, body });
    const output = (await response.json()).choices[0].message.content;
    const history = [
      { prompt, output: 'No.', graderPassed: true },
      { prompt: sent, output, graderPassed: false },
    ];
    return { output, metadata: { redteamFinalPrompt: sent, redteamHistory: history } };
  }
}
