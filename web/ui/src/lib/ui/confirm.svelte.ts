/** Asks before something that cannot be undone. One question at a time; the answer is a promise. */
export interface Question {
  title: string
  text: string
  /** What will happen, as the button's words ("Delete channel"). */
  confirm: string
  cancel?: string
  danger?: boolean
  /** Must be typed to go on, for the gravest things. */
  typed?: string
}

class Confirm {
  question = $state.raw<Question | null>(null)
  #answer: ((yes: boolean) => void) | null = null

  ask(question: Question): Promise<boolean> {
    this.#answer?.(false)
    this.question = question
    return new Promise((resolve) => (this.#answer = resolve))
  }

  answer(yes: boolean): void {
    const a = this.#answer
    this.#answer = null
    this.question = null
    a?.(yes)
  }
}

export const confirm = new Confirm()
