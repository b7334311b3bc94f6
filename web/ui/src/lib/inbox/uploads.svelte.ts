import type { Attachment } from '$lib/api/types'

export const MAX_UPLOAD = 25 * 1024 * 1024

/**
 * A file on its way to the server, with progress. fetch tells nothing about what it has sent, so this is the one place
 * that uses XMLHttpRequest.
 */
export class Upload {
  readonly id = crypto.randomUUID()
  readonly name: string
  readonly size: number
  readonly type: string
  state = $state<'uploading' | 'done' | 'failed'>('uploading')
  progress = $state(0)
  /** What the server says, or '' when no answer came. */
  error = $state('')
  attachment = $state.raw<Attachment | null>(null)
  /** Of a picture that was just chosen. */
  readonly preview: string | null

  readonly #file: File | null
  #request: XMLHttpRequest | null = null

  constructor(file: File | Attachment) {
    this.name = file.name
    this.size = file.size
    this.type = file.type
    if (file instanceof File) {
      this.#file = file
      this.preview = file.type.startsWith('image/') ? URL.createObjectURL(file) : null
      this.start()
    } else {
      this.#file = null
      this.attachment = file
      this.state = 'done'
      this.progress = 1
      this.preview = file.preview_url ?? (file.kind === 'photo' ? file.url : null)
    }
  }

  start(): void {
    if (!this.#file) return
    const request = new XMLHttpRequest()
    this.#request = request
    this.state = 'uploading'
    this.progress = 0
    this.error = ''
    request.open('POST', '/api/uploads')
    request.setRequestHeader('Idempotency-Key', crypto.randomUUID())
    request.responseType = 'json'
    request.upload.onprogress = (e) => {
      if (e.lengthComputable) this.progress = e.loaded / e.total
    }
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) {
        this.attachment = request.response as Attachment
        this.progress = 1
        this.state = 'done'
        return
      }
      const problem = request.response as { detail?: string; title?: string } | null
      this.error = problem?.detail ?? problem?.title ?? ''
      this.state = 'failed'
    }
    request.onerror = request.ontimeout = () => {
      this.state = 'failed'
    }
    const form = new FormData()
    form.append('file', this.#file, this.name)
    request.send(form)
  }

  /** It is not wanted any more. */
  dispose(): void {
    this.#request?.abort()
    if (this.#file && this.preview) URL.revokeObjectURL(this.preview)
  }
}
