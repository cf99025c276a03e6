import type { Problem, Remedy } from "../state/problems.js";
import { Icon } from "./Icon.js";

const LABELS: Record<Remedy, string> = {
  retry: "Try again",
  "smaller-context": "Use a smaller context",
  "larger-context": "Use a larger context",
  "choose-another": "Choose another model",
  "clear-cache": "Clear the stored copy",
  "new-chat": "Start a new chat",
  "reload-model": "Load the model again",
};

/** An error in words, with the buttons that help: the first one is the likeliest. */
export function ProblemBox({ problem, act }: { problem: Problem; act: (remedy: Remedy) => void }) {
  return (
    <div class="problem" role="alert">
      <p class="problem-title">
        <Icon name="warn" /> {problem.title}
      </p>
      <p>{problem.message}</p>
      {problem.help !== "" && <p>{problem.help}</p>}
      <p class="buttons">
        {problem.remedies.map((remedy, index) => (
          <button key={remedy} type="button" class={index === 0 ? "button primary" : "button"} onClick={() => act(remedy)}>
            {LABELS[remedy]}
          </button>
        ))}
        <code class="code-name">{problem.code}</code>
      </p>
    </div>
  );
}
