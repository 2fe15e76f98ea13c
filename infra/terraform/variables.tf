variable "prefix" {
  description = "First part of the names of all tables and queues; the services know it as DUEFLOW_PREFIX."
  type        = string
  default     = "dueflow"

  validation {
    condition     = can(regex("^[0-9A-Za-z-]{4,60}$", var.prefix))
    error_message = "The prefix must be 4 to 60 letters, digits and hyphens."
  }
}
