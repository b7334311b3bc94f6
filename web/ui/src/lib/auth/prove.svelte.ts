/** Asks for a fresh proof of who is sitting here. One question at a time; everybody who waits gets its answer. */
class Prove {
  open = $state(false)
  #waiting: ((yes: boolean) => void)[] = []

  ask(): Promise<boolean> {
    this.open = true
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  answer(yes: boolean): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.open = false
    for (const resolve of waiting) resolve(yes)
  }
}

export const prove = new Prove()
