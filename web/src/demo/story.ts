/**
 * Where the demo's story stands. What arrives: the steps with their seconds and the time since the visitor came. What
 * leaves: the step to show, how far it is, when the next begins. It does not know the clock or the frames.
 */

export interface Step {
  at_seconds: number
  text: string
}

export interface Moment {
  index: number // -1 before the first step
  progress: number // 0…1 through this step
  next_in_seconds: number | null
  over: boolean
}

/** How long the last step stands before the sum is the subject. */
const LAST_STEP_SECONDS = 8

export function momentOf(steps: readonly Step[], seconds: number): Moment {
  let index = -1
  for (let i = 0; i < steps.length; i++) if (seconds >= steps[i]!.at_seconds) index = i
  const from = index < 0 ? 0 : steps[index]!.at_seconds
  const next = steps[index + 1]
  const until = next ? next.at_seconds : from + LAST_STEP_SECONDS
  const progress = Math.min(1, Math.max(0, (seconds - from) / Math.max(0.001, until - from)))
  return {
    index,
    progress,
    next_in_seconds: next ? Math.max(0, next.at_seconds - seconds) : null,
    over: steps.length > 0 && !next && progress >= 1,
  }
}

/** The frame a step speaks of, so that a small screen can turn to it: the order of the story is fixed by its seconds. */
export type Frame = 'you' | 'rival' | 'host'

export function frameOf(text: string): Frame | null {
  const plain = text.toLowerCase()
  if (/\brival|\brivale|对手/.test(plain)) return 'rival'
  if (/\bhost\b|\banimatrice|\bprésentatrice|主播/.test(plain)) return 'host'
  if (/\byou\b|\byour\b|\bvous\b|\bvotre\b|你|您/.test(plain)) return 'you'
  return null
}

/** Minutes and seconds to a moment, "2:05". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}
